using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Native;

// For descriptors that are only polled, or that somebody else reads and writes.
public sealed partial class NetpollFile
{
    /// <summary>
    /// Waits until a read would not wait: there is something to read, or the end, or an error. For what is not read at all, it is whatever
    /// makes it readable: a pidfd when its process has ended.
    /// </summary>
    /// <remarks>
    /// Takes its turn with reads, and obeys the read deadline. Moves nothing, so that a read of somebody else's may be quicker. What cannot
    /// be polled (<see cref="IsPollable"/>) is always ready.
    /// </remarks>
    /// <param name="cancellationToken">Cancels the wait.</param>
    /// <exception cref="ObjectDisposedException">The file was disposed, before or during the wait.</exception>
    /// <exception cref="DeadlineExceededException">The read deadline has passed.</exception>
    /// <exception cref="NotPollableException">The file can never signal readiness.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="NotSupportedException">The file was not opened for reading.</exception>
    public ValueTask WaitReadableAsync(CancellationToken cancellationToken = default)
    {
        ThrowUnlessOpenFor(FileAccess.Read);
        return cancellationToken.IsCancellationRequested
            ? ValueTask.FromCanceled(cancellationToken)
            : _file.WaitAsync(PollMode.Read, cancellationToken);
    }

    /// <summary>Waits until a write of a little would not wait: there is room, or nobody reads any more, or an error.</summary>
    /// <remarks>
    /// Takes its turn with writes, and obeys the write deadline. What cannot be polled (<see cref="IsPollable"/>) is always ready.
    /// </remarks>
    /// <param name="cancellationToken">Cancels the wait.</param>
    /// <exception cref="ObjectDisposedException">The file was disposed, before or during the wait.</exception>
    /// <exception cref="DeadlineExceededException">The write deadline has passed.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="NotSupportedException">The file was not opened for writing.</exception>
    public ValueTask WaitWritableAsync(CancellationToken cancellationToken = default)
    {
        ThrowUnlessOpenFor(FileAccess.Write);
        return cancellationToken.IsCancellationRequested
            ? ValueTask.FromCanceled(cancellationToken)
            : _file.WaitAsync(PollMode.Write, cancellationToken);
    }

    /// <summary>
    /// Waits for an exceptional condition, which poll(2) calls POLLPRI: a change of <c>/proc/self/mounts</c> or of an attribute in sysfs, a
    /// pressure stall trigger that goes off, urgent data of TCP.
    /// </summary>
    /// <remarks>
    /// <para>Works for regular files, too, where the file system has such conditions, as proc and sysfs do. Deadlines do not apply to
    /// it.</para>
    /// <para>The first wait begins to listen. A condition that comes between two waits is told by the second one; several are told once. So
    /// it may tell of something that was seen to already: look, and wait again. An attribute in sysfs must have been read once before it
    /// tells of changes, and is read again from position 0. A hang-up or an error ends one wait, too: see what a read says.</para>
    /// </remarks>
    /// <param name="cancellationToken">Cancels the wait.</param>
    /// <exception cref="ObjectDisposedException">The file was disposed, before or during the wait.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="NotSupportedException">The kernel cannot watch the file: an ordinary file on a disk.</exception>
    /// <exception cref="IOException">The kernel refuses, for instance because too many files are open.</exception>
    public ValueTask WaitPriorityAsync(CancellationToken cancellationToken = default) => cancellationToken.IsCancellationRequested
        ? ValueTask.FromCanceled(cancellationToken)
        : _file.WaitForPriorityAsync(cancellationToken);
}
