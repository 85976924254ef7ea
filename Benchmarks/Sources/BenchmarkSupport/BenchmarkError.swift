/// A failure that ends the benchmark with its message.
package struct BenchmarkError: Error, CustomStringConvertible {
  package let description: String

  package init(_ description: String) {
    self.description = description
  }
}
