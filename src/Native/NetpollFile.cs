using System.IO.Pipelines;
using System.Runtime.Versioning;
using KestrelNetpoll.Native.Files;
using KestrelNetpoll.Native.Polling;
using Microsoft.Win32.SafeHandles;

namespace KestrelNetpoll.Native;

/// <summary>
/// A file whose reads and writes wait without holding a thread: a FIFO, a pipe, a pseudo-terminal, a tun or tap device, or any
/// other descriptor that Linux can poll.
/// </summary>
/// <remarks>
/// <para>Safe for use from several threads: one read and one write run at a time, further ones queue up behind them, and a write is
/// never mixed with another. Continuations run on the thread pool.</para>
/// <para>Deadlines work as in Go: a deadline in the past fails operations at once, even those that would not have to wait, and
/// releases one that is waiting; it stays in force until it is moved or cleared. It never fires early.</para>
/// <para>Files the kernel cannot poll, such as regular files, work too: their asynchronous operations run on the thread pool, and they
/// refuse deadlines.</para>
/// <para>Where each call moves a message (datagram and SEQPACKET sockets, tun and tap devices, most other devices), each read and each
/// write is one, however many buffers it has. Only <see cref="AsStream"/> hands that on.</para>
/// <para>A descriptor that the file has taken over may only be closed through the file. If somebody closes its number all the same, and the
/// kernel gives it out again, the file does not close its successor; but it cannot tell two regular files apart, nor two of them that have
/// no name, such as eventfds.</para>
/// <para>While the process exits (<see cref="AppDomain.ProcessExit"/>), files that others share are made blocking again, as they were:
/// whoever still uses one then may block the thread.</para>
/// <para>Dispose of it. One that nobody refers to any more, and that nobody waits for, is closed by the finalizer, some time.</para>
/// </remarks>
[SupportedOSPlatform("linux")]
public sealed partial class NetpollFile : IDisposable, IAsyncDisposable
{
    private readonly FileDescriptor _file;

    private NetpollFile(FileDescriptor file)
    {
        _file = file;
        file.Owner = this;
    }

    /// <summary>Closes a file that was not disposed of.</summary>
    ~NetpollFile() => _file.CloseFile();

    /// <summary>
    /// The path the file was opened with, the name of the interface of a tun or tap device, or a description of where the file came from.
    /// </summary>
    public string Name => _file.Path;

    /// <summary>
    /// Whether the kernel signals this file's readiness. If not (regular files, directories and block devices, on whatever file system;
    /// some other devices), asynchronous operations run on the thread pool, where they may block, and deadlines are refused.
    /// </summary>
    public bool IsPollable => _file.IsRegistered;

    /// <summary>Whether the file was opened for reading.</summary>
    public bool CanRead => (_file.Access & FileAccess.Read) != 0;

    /// <summary>Whether the file was opened for writing.</summary>
    public bool CanWrite => (_file.Access & FileAccess.Write) != 0;

    /// <summary>
    /// The file's descriptor, for what is not offered here, such as ioctls. It belongs to the file and is closed with it: hold a reference
    /// (<see cref="System.Runtime.InteropServices.SafeHandle.DangerousAddRef"/>) while you use its number. Leave it non-blocking.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The file was disposed.</exception>
    public SafeFileHandle SafeHandle => _file.GetHandle();

    internal FileDescriptor Descriptor => _file;

    /// <summary>Reads what is there, waiting until there is something.</summary>
    /// <param name="buffer">Where the bytes go. Not touched after the operation has ended, however it ended. Empty: returns 0 at
    /// once.</param>
    /// <param name="cancellationToken">Cancels the wait. A file that is not pollable looks at it only at the start.</param>
    /// <returns>The number of bytes read; 0 is the end of the file. A FIFO that nobody has opened for writing yet is not at its end: the
    /// read waits.</returns>
    /// <exception cref="ObjectDisposedException">The file was disposed, before or during the operation.</exception>
    /// <exception cref="DeadlineExceededException">The read deadline has passed.</exception>
    /// <exception cref="NotPollableException">The file can never signal readiness.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="NotSupportedException">The file was not opened for reading.</exception>
    /// <exception cref="IOException">The kernel reports an error.</exception>
    public ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        ThrowUnlessOpenFor(FileAccess.Read);
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled<int>(cancellationToken);
        }

        return buffer.IsEmpty ? ReadNothing<int>() : _file.ReadAsync(buffer, cancellationToken);
    }

    /// <summary>Reads into several buffers, filled in order, with one system call (readv).</summary>
    /// <param name="buffers">
    /// Where the bytes go. The list must not change while the operation runs. One call takes 1,024 buffers: a stream of bytes is read into
    /// the first that many, and a message that may need more is copied once.
    /// </param>
    /// <param name="cancellationToken">As for <see cref="ReadAsync(Memory{byte}, CancellationToken)"/>.</param>
    /// <returns>The number of bytes read; 0 is the end of the file, or no room in the buffers.</returns>
    /// <inheritdoc cref="ReadAsync(Memory{byte}, CancellationToken)" path="/exception"/>
    public ValueTask<long> ReadAsync(IReadOnlyList<Memory<byte>> buffers, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(buffers);
        ThrowUnlessOpenFor(FileAccess.Read);
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled<long>(cancellationToken);
        }

        return buffers.All(static buffer => buffer.IsEmpty) ? ReadNothing<long>() : _file.ReadAsync(buffers, cancellationToken);
    }

    /// <summary>Writes all of the buffer, or throws.</summary>
    /// <param name="buffer">
    /// The bytes. Not touched after the operation has ended, however it ended. Empty: writes nothing, except to a socket that carries
    /// messages, which sends an empty one.
    /// </param>
    /// <param name="cancellationToken">Cancels the wait; bytes written so far stay written. A file that is not pollable looks at it only at
    /// the start.</param>
    /// <returns>The length of the buffer.</returns>
    /// <exception cref="ObjectDisposedException">The file was disposed, before or during the operation.</exception>
    /// <exception cref="DeadlineExceededException">The write deadline has passed; <see cref="DeadlineExceededException.BytesWritten"/> says
    /// how far the write got.</exception>
    /// <exception cref="OperationCanceledException">
    /// The token was cancelled; a <see cref="PartialWriteCanceledException"/> if part of it was written.
    /// </exception>
    /// <exception cref="NotSupportedException">The file was not opened for writing.</exception>
    /// <exception cref="IOException">
    /// The kernel reports an error, for instance that nobody reads the pipe any more; a <see cref="PartialWriteException"/> if part of it
    /// was written.
    /// </exception>
    public ValueTask<int> WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        ThrowUnlessOpenFor(FileAccess.Write);
        return cancellationToken.IsCancellationRequested
            ? ValueTask.FromCanceled<int>(cancellationToken)
            : _file.WriteAsync(buffer, cancellationToken);
    }

    /// <summary>Writes all of several buffers, in order, with as few system calls as possible (writev), or throws.</summary>
    /// <param name="buffers">
    /// The bytes. The list must not change while the operation runs. One call takes 1,024 buffers: a message of more is copied once, so
    /// that it stays one.
    /// </param>
    /// <param name="cancellationToken">As for <see cref="WriteAsync(ReadOnlyMemory{byte}, CancellationToken)"/>.</param>
    /// <returns>The sum of the lengths.</returns>
    /// <inheritdoc cref="WriteAsync(ReadOnlyMemory{byte}, CancellationToken)" path="/exception"/>
    public ValueTask<long> WriteAsync(IReadOnlyList<ReadOnlyMemory<byte>> buffers, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(buffers);
        ThrowUnlessOpenFor(FileAccess.Write);
        return cancellationToken.IsCancellationRequested
            ? ValueTask.FromCanceled<long>(cancellationToken)
            : _file.WriteAsync(buffers, cancellationToken);
    }

    /// <summary>Sets the deadline of reads, the one that is waiting included.</summary>
    /// <param name="deadline">When they fail; null for never. Later calls replace earlier ones. Measured on the monotonic clock from now
    /// on.</param>
    /// <exception cref="ObjectDisposedException">The file was disposed.</exception>
    /// <exception cref="NotSupportedException">The file is not pollable.</exception>
    public void SetReadDeadline(DateTimeOffset? deadline) => _file.SetDeadline(PollMode.Read, PollDeadline.At(deadline));

    /// <summary>Sets the deadline of writes, the one that is waiting included.</summary>
    /// <inheritdoc cref="SetReadDeadline" path="/param"/>
    /// <inheritdoc cref="SetReadDeadline" path="/exception"/>
    public void SetWriteDeadline(DateTimeOffset? deadline) => _file.SetDeadline(PollMode.Write, PollDeadline.At(deadline));

    /// <summary>Sets the deadline of reads and of writes.</summary>
    /// <inheritdoc cref="SetReadDeadline" path="/param"/>
    /// <inheritdoc cref="SetReadDeadline" path="/exception"/>
    public void SetDeadline(DateTimeOffset? deadline)
    {
        long monotonic = PollDeadline.At(deadline);
        _file.SetDeadline(PollMode.Read, monotonic);
        _file.SetDeadline(PollMode.Write, monotonic);
    }

    /// <summary>
    /// The file as a stream. Its asynchronous methods wait without holding a thread. Its synchronous ones block the calling thread and make
    /// their system calls on it: they need no thread of the pool, and, of a file that can be polled, deadlines and <see cref="Dispose"/>
    /// end them all the same. One that comes while an asynchronous operation of its direction is under way waits for that first. Disposing
    /// it disposes the file.
    /// </summary>
    public Stream AsStream() => new NetpollFileStream(this);

    /// <summary>The file as a <see cref="PipeReader"/>. Completing it disposes the file, unless the options leave it open.</summary>
    /// <param name="options">Buffer sizes, pool, and whether the file stays open; null for the defaults.</param>
    /// <exception cref="NotSupportedException">
    /// The file was not opened for reading, or carries messages (a tun or tap device, a datagram or SEQPACKET socket): they would be joined
    /// or cut.
    /// </exception>
    public PipeReader AsPipeReader(StreamPipeReaderOptions? options = null)
    {
        ThrowUnlessOpenFor(FileAccess.Read);
        ThrowIfItKeepsMessages();
        return PipeReader.Create(AsStream(), options);
    }

    /// <summary>The file as a <see cref="PipeWriter"/>. Completing it disposes the file, unless the options leave it open.</summary>
    /// <param name="options">Buffer sizes, pool, and whether the file stays open; null for the defaults.</param>
    /// <exception cref="NotSupportedException">
    /// The file was not opened for writing, or carries messages (a tun or tap device, a datagram or SEQPACKET socket): they would be joined
    /// or cut.
    /// </exception>
    public PipeWriter AsPipeWriter(StreamPipeWriterOptions? options = null)
    {
        ThrowUnlessOpenFor(FileAccess.Write);
        ThrowIfItKeepsMessages();
        return PipeWriter.Create(AsStream(), options);
    }

    /// <summary>
    /// Closes the file. Waiting operations end with <see cref="ObjectDisposedException"/>. Does not wait for an operation that is inside a
    /// system call at this moment: that one closes the descriptor when it leaves, and so does whoever holds a reference on the file's
    /// handle. Idempotent.
    /// </summary>
    public void Dispose()
    {
        _file.CloseFile();
        GC.SuppressFinalize(this);
    }

    /// <summary>As <see cref="Dispose"/>, and completes when the file has given the descriptor back.</summary>
    public ValueTask DisposeAsync()
    {
        _file.CloseFile();
        GC.SuppressFinalize(this);
        return new ValueTask(_file.CloseAsync());
    }

    /// <summary>As <see cref="ReadAsync(Memory{byte}, CancellationToken)"/>, blocking the calling thread, which alone does the
    /// work.</summary>
    internal int Read(Span<byte> buffer)
    {
        ThrowUnlessOpenFor(FileAccess.Read);
        if (!buffer.IsEmpty)
        {
            return _file.Read(buffer);
        }

        return _file.IsClosed ? throw _file.ClosedException() : 0;
    }

    /// <summary>As <see cref="WriteAsync(ReadOnlyMemory{byte}, CancellationToken)"/>, blocking the calling thread, which alone does the
    /// work.</summary>
    internal void Write(ReadOnlySpan<byte> buffer)
    {
        ThrowUnlessOpenFor(FileAccess.Write);
        _file.Write(buffer);
    }

    // No room, so nothing to wait for; but a closed file says so.
    private ValueTask<T> ReadNothing<T>() => _file.IsClosed ? throw _file.ClosedException() : default;

    private void ThrowUnlessOpenFor(FileAccess access)
    {
        if ((_file.Access & access) == 0)
        {
            throw new NotSupportedException($"'{Name}' was not opened for {(access == FileAccess.Read ? "reading" : "writing")}.");
        }
    }

    private void ThrowIfItKeepsMessages()
    {
        if (_file.Traits.KeepsMessages)
        {
            throw new NotSupportedException($"'{Name}' carries messages, which a pipe would join or cut: read and write them one by one.");
        }
    }
}
