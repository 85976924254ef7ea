import Foundation

/// Finds and loads the configuration of this process, from its file and its environment.
package enum ConfigurationFiles {
  /// The candidates for the configuration file, in order, if neither a flag nor the environment names one.
  package static let searchPath = ["./parallax.config.yaml", "/etc/parallax/parallax.config.yaml"]

  /// Chooses the configuration file: the flag's, else that of `PARALLAX_CONFIG`, else the first existing file of ``searchPath``.
  /// - Parameters:
  ///   - flag: The value of `--config`.
  ///   - environment: The process's environment.
  ///   - exists: Whether a file exists at a path.
  /// - Returns: The file's path; nil if there is none. A path from the flag or the environment need not exist.
  package static func locate(flag: String?, environment: [String: String], exists: (_ path: String) -> Bool) -> String? {
    if let flag { return flag }
    if let path = environment["PARALLAX_CONFIG"], !path.isEmpty { return path }
    return searchPath.first(where: exists)
  }

  /// The configuration file of this process without a flag; nil if there is none.
  package static var located: String? {
    locate(flag: nil, environment: ProcessInfo.processInfo.environment) { FileManager.default.fileExists(atPath: $0) }
  }

  /// Loads the configuration of this process.
  /// - Parameters:
  ///   - path: The configuration file; nil without one.
  ///   - flags: The keys set on the command line.
  /// - Returns: The values in force.
  /// - Throws: All faults at once; a fault too if the file, or one that it refers to, cannot be read.
  package static func load(config path: String?, flags: [ConfigurationFlag]) throws(ConfigurationError) -> NodeConfiguration {
    let environment = ProcessInfo.processInfo.environment
    var file: ConfigurationFile?
    if let path {
      do throws(FileProblem) {
        file = ConfigurationFile(path: path, text: try text(of: path))
      } catch {
        throw ConfigurationError([ConfigurationFault(.file(path, line: nil), key: "", .unreadable("the file \(error)"))])
      }
    }
    let hostName = ProcessInfo.processInfo.hostName
    let configuration = try ConfigurationLoader(file: file, environment: environment, flags: flags, hostName: hostName) {
      try text(of: $0)
    }.load()
    try checkFiles(of: configuration)
    return configuration
  }

  /// Reads the files that the configuration names.
  private static func checkFiles(of configuration: NodeConfiguration) throws(ConfigurationError) {
    var faults: [ConfigurationFault] = []
    func check(_ read: () throws(ConfigurationError) -> Void) {
      do throws(ConfigurationError) { try read() } catch { faults += error.faults }
    }
    check { () throws(ConfigurationError) in _ = try configuration.redis.tlsConfiguration() }
    check { () throws(ConfigurationError) in _ = try configuration.makeServerTLS() }
    check { () throws(ConfigurationError) in _ = try TokenKeyFile(configuration)?.keys() }
    if !faults.isEmpty { throw ConfigurationError(faults) }
  }

  /// The text of a file.
  ///
  /// - Throws: Why it cannot be read.
  static func text(of path: String) throws(FileProblem) -> String {
    do { return try String(contentsOfFile: path, encoding: .utf8) } catch { throw FileProblem(of: path, expected: "UTF-8 text") }
  }
}
