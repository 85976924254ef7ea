/// Suspends the task until its continuation is resumed, for those who keep a list of waiting tasks themselves.
///
/// The list answers each continuation exactly once: by what is waited for, or when `cancel` takes it off the list. It resumes outside of
/// its lock: resuming a task can run that task's cancellation handlers.
///
/// - Parameters:
///   - enqueue: Called once, puts the continuation on the list, or resumes it at once.
///   - cancel: Called when the task is cancelled, before, during or after the wait, and possibly twice: takes the continuation off the
///     list, if it is still there, and resumes it.
/// - Returns: What the continuation is resumed with.
@inlinable
nonisolated(nonsending) package func suspend<Value>(
  _ enqueue: (UnsafeContinuation<Value, Never>) -> Void, onCancel cancel: @Sendable () -> Void
) async -> Value {
  await withTaskCancellationHandler {
    await withUnsafeContinuation { continuation in
      enqueue(continuation)
      // A cancellation before the wait found nothing on the list.
      if Task.isCancelled { cancel() }
    }
  } onCancel: {
    cancel()
  }
}
