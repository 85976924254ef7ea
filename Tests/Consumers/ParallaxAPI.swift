import ParallaxAPI

/// Needs nothing but the library.
func taskOf(_ frame: String) throws -> ControlPlaneMessage.Task? {
  guard case .task(let task) = try ControlPlaneMessage.decode(frame.utf8).message else { return nil }
  return task
}
