/// Resolves references: `${NAME}` in a file's texts is an environment variable, a value `file:PATH` is the contents of a file.
struct ConfigurationReferences: Sendable {
  /// The reason that a reference cannot be resolved.
  struct Failure: Error {
    let message: String
  }

  let environment: [String: String]
  /// The configuration file, whose folder is the base of relative paths.
  let file: String?
  let readFile: @Sendable (_ path: String) throws -> String

  /// Replaces all references in a text of the configuration file.
  ///
  /// `$${` stands for `${` itself.
  func resolved(_ text: String) -> Result<String, Failure> {
    expanded(text).flatMap { expanded in
      // The value of a variable is not expanded again, but it may be a `file:` reference as a whole.
      resolvedFile(expanded)
    }
  }

  /// The contents of the file that `text` refers to, without trailing line breaks; `text` itself if it is not a `file:` reference.
  func resolvedFile(_ text: String) -> Result<String, Failure> {
    guard text.hasPrefix("file:") else { return .success(text) }
    let path = String(text.dropFirst("file:".count))
    guard !path.isEmpty else { return .failure(Failure(message: "expected a path after file:")) }
    do {
      var contents = Substring(try readFile(absolute(path)))
      while contents.last?.isNewline ?? false { contents.removeLast() }
      return .success(String(contents))
    } catch {
      return .failure(Failure(message: "the file \(FoundText.quoted(path)) \((error as? FileProblem)?.description ?? "cannot be read")"))
    }
  }

  private func absolute(_ path: String) -> String {
    guard !path.hasPrefix("/"), let slash = file?.lastIndex(of: "/"), let file else { return path }
    return file[...slash] + path
  }

  private func expanded(_ text: String) -> Result<String, Failure> {
    var result = ""
    var rest = Substring(text)
    while let start = rest.firstRange(of: "${") {
      let before = rest[..<start.lowerBound]
      if before.hasSuffix("$") {
        result += before.dropLast() + "${"
        rest = rest[start.upperBound...]
        continue
      }
      result += before
      guard let end = rest[start.upperBound...].firstIndex(of: "}") else {
        return .failure(Failure(message: "expected } after ${, or $${ for ${ itself"))
      }
      let name = String(rest[start.upperBound..<end])
      guard let value = environment[name] else {
        return .failure(Failure(message: "refers to the environment variable \(FoundText.quoted(name)), which is not set"))
      }
      result += value
      rest = rest[end...].dropFirst()
    }
    return .success(result + rest)
  }
}
