/// The code of a server's error, its first word, by which programs distinguish errors.
enum RedisServerCode {
  /// The text before the code of an error inside a script, up to Redis 6.2.
  private static let scriptMarker = ": -"

  /// The code of an error message, such as `OOM` or `READONLY`.
  ///
  /// Redis up to 6.2 wraps an error inside a script: `ERR Error running script (call to f_…): @user_script:1: … -OOM …`.
  static func of(_ message: String) -> String {
    if message.hasPrefix("ERR Error running script"), let marker = message.firstRange(of: scriptMarker) {
      return String(message[marker.upperBound...].prefix { $0 != " " })
    }
    return String(message.prefix { $0 != " " })
  }
}
