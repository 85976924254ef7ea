import CHiredis
import NIOCore

/// Decodes with hiredis, into its own reply objects or into the values of the client.
final class HiredisDecoder {
  /// The values under construction by hiredis's callbacks, which follow each other depth first.
  final class Builder {
    @exclusivity(unchecked) private var stack: [(missing: Int, elements: [RESPValue])] = []
    @exclusivity(unchecked) private var result: RESPValue?

    func add(_ value: RESPValue) {
      var value = value
      while let top = stack.indices.last {
        stack[top].elements.append(value)
        stack[top].missing -= 1
        if stack[top].missing > 0 { return }
        value = .array(stack.removeLast().elements)
      }
      result = value
    }

    func begin(_ count: Int) {
      guard count > 0 else { return add(.array([])) }
      var elements: [RESPValue] = []
      elements.reserveCapacity(count)
      stack.append((count, elements))
    }

    static func from(_ context: UnsafeMutableRawPointer?) -> Builder {
      guard let context else { preconditionFailure("hiredis has lost its context") }
      return Unmanaged<Builder>.fromOpaque(context).takeUnretainedValue()
    }
  }

  private let builder = Builder()
  private let objectReader: UnsafeMutableRawPointer
  private let valueReader: UnsafeMutableRawPointer

  init() {
    var callbacks = hiredis_callbacks(
      string: { context, isStatus, bytes, length in
        let buffer = ByteBuffer(bytes: UnsafeRawBufferPointer(start: bytes, count: length))
        Builder.from(context).add(isStatus != 0 ? .simpleString(buffer) : .bulkString(buffer))
      },
      integer: { context, value in Builder.from(context).add(.integer(value)) },
      null: { context in Builder.from(context).add(.null) },
      array: { context, count in Builder.from(context).begin(count) })
    guard let objectReader = hiredis_object_reader(),
      let valueReader = hiredis_value_reader(&callbacks, Unmanaged.passUnretained(builder).toOpaque())
    else { preconditionFailure("hiredis has no memory for a reader") }
    self.objectReader = objectReader
    self.valueReader = valueReader
  }

  deinit {
    hiredis_free_reader(objectReader)
    hiredis_free_reader(valueReader)
  }

  /// The number of replies, each created as hiredis's object and freed.
  func readObjects(_ bytes: UnsafeRawBufferPointer) -> Int {
    hiredis_read_objects(objectReader, bytes.baseAddress, bytes.count)
  }

  /// The number of replies, each created as a value.
  func readValues(_ bytes: UnsafeRawBufferPointer) -> Int {
    hiredis_read_values(valueReader, bytes.baseAddress, bytes.count)
  }
}
