public import ParallaxHA
public import ServiceLifecycle

/// An example of your service: it imports new data, on one node at a time.
///
/// Generic over store and clock, it uses any store in production and a manual clock in its tests.
public struct Importer<Store: ElectionStore, ImportClock: Clock>: Service where ImportClock.Duration == Duration {
  private let election: LeaderElection<Store, ImportClock>
  private let duties: LeaderDuties<ImportClock>

  /// Creates the service.
  ///
  /// - Parameters:
  ///   - election: Decides which node imports.
  ///   - clock: The clock of the election.
  ///   - importAll: Imports the new data, with the fencing token for its writes.
  public init(
    election: LeaderElection<Store, ImportClock>, clock: ImportClock, importAll: @escaping @Sendable (FencingToken) async throws -> Void
  ) {
    self.election = election
    duties = LeaderDuties([LeaderDuty("import", every: .seconds(60), work: importAll)], clock: clock)
  }

  /// Imports once a minute while this node leads.
  public func run() async throws {
    try await election.campaign { token in await duties.run(token) }
  }
}
