/// Suspends the task until its continuation is resumed, for types that keep a list of waiting tasks.
///
/// The list resumes each continuation exactly once: for the awaited event, or when `cancel` removes it. It resumes outside its lock,
/// because resuming a task can run that task's cancellation handlers.
///
/// - Parameters:
///   - enqueue: Called once; adds the continuation to the list, or resumes it at once.
///   - cancel: Called when the task is cancelled, before, during or after the wait, and possibly twice; removes the continuation from the
///     list, if it is there, and resumes it.
/// - Returns: The value with which the continuation is resumed.
@inlinable
nonisolated(nonsending) package func suspend<Value>(
  _ enqueue: (UnsafeContinuation<Value, Never>) -> Void, onCancel cancel: @Sendable () -> Void
) async -> Value {
  await withTaskCancellationHandler {
    await withUnsafeContinuation { continuation in
      enqueue(continuation)
      // A cancellation before the wait found an empty list.
      if Task.isCancelled { cancel() }
    }
  } onCancel: {
    cancel()
  }
}
