using KestrelNetpoll.Native.Files;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native;

// Opening that waits. The kernel can wait for the other end of a FIFO only by blocking a thread, and signals it to nobody else, not even to
// inotify: so it is looked for now and then.
public sealed partial class NetpollFile
{
    private static readonly TimeSpan ShortestPause = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(50);

    /// <summary>
    /// Opens an existing file, waiting without holding a thread for what <see cref="Open(string, FileAccess)"/> does not wait for: the
    /// other end of a FIFO, as open(2) does without O_NONBLOCK, and the holder of a lease to give it up. For anything else it is the same
    /// as <see cref="Open(string, FileAccess)"/>.
    /// </summary>
    /// <remarks>
    /// A FIFO opened for writing waits until somebody has it open for reading; opened for reading, until somebody has it open for writing,
    /// or has written to it; opened for both, not at all. The wait ends up to 50 ms after the other end has come.
    /// </remarks>
    /// <param name="path">The path.</param>
    /// <param name="access">Read, write or both.</param>
    /// <param name="deadline">When the wait fails; null for never. In the past: at once, as for reads and writes.</param>
    /// <param name="cancellationToken">Cancels the wait.</param>
    /// <returns>The file. It has no deadline.</returns>
    /// <exception cref="DeadlineExceededException">The deadline has passed.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <inheritdoc cref="Open(string, FileAccess)" path="/exception"/>
    public static Task<NetpollFile> OpenAsync(
        string path, FileAccess access, DateTimeOffset? deadline = null, CancellationToken cancellationToken = default) =>
        OpenAsync(path, access, deadline, NetpollRuntime.Shared, cancellationToken);

    internal static Task<NetpollFile> OpenAsync(
        string path, FileAccess access, DateTimeOffset? deadline, NetpollRuntime runtime, CancellationToken cancellationToken)
    {
        ThrowUnlessPath(path);
        int mode = ToOpenMode(access);
        return OpenAsync(path, access, mode, PollDeadline.At(deadline), runtime, cancellationToken);
    }

    private static async Task<NetpollFile> OpenAsync(
        string path, FileAccess access, int mode, long deadline, NetpollRuntime runtime, CancellationToken cancellationToken)
    {
        TimeSpan pause = ShortestPause;
        SyscallResult opened;
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            ThrowIfPast(deadline);
            opened = TryOpen(path, mode, runtime);
            if (!MayComeTrue(opened, path, runtime))
            {
                break;
            }

            pause = await PauseAsync(pause, deadline, cancellationToken).ConfigureAwait(false);
        }

        if (opened.IsError)
        {
            throw OpenException(opened.Errno, path, runtime);
        }

        var file = new NetpollFile(FileDescriptor.Adopt(opened.Value, path, access, runtime));
        try
        {
            if (access == FileAccess.Read && file._file.Traits.IsPipe)
            {
                await WaitForWriterAsync(file._file, pause, deadline, cancellationToken).ConfigureAwait(false);
            }
        }
        catch
        {
            file.Dispose();
            throw;
        }

        return file;
    }

    // Will it open as soon as somebody else does something?
    private static bool MayComeTrue(SyscallResult opened, string path, NetpollRuntime runtime) => opened.Errno switch
    {
        Errno.ENXIO => TypeOf(path, runtime) == LibC.S_IFIFO,
        Errno.EAGAIN => TypeOf(path, runtime) == LibC.S_IFREG,
        _ => false,
    };

    private static async Task WaitForWriterAsync(FileDescriptor file, TimeSpan pause, long deadline, CancellationToken cancellationToken)
    {
        using var probe = new FifoWriterProbe(file);
        while (!probe.HasWriterCome())
        {
            pause = await PauseAsync(pause, deadline, cancellationToken).ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();
            ThrowIfPast(deadline);
        }
    }

    // The next pause.
    private static async Task<TimeSpan> PauseAsync(TimeSpan pause, long deadline, CancellationToken cancellationToken)
    {
        TimeSpan left = deadline == PollDeadline.None
            ? pause
            : TimeSpan.FromMilliseconds(Math.Max(0, ((deadline - MonotonicClock.Now) / MonotonicClock.NanosecondsPerMillisecond) + 1));
        await Task.Delay(left < pause ? left : pause, cancellationToken).ConfigureAwait(false);
        return pause * 2 < LongestPause ? pause * 2 : LongestPause;
    }

    private static void ThrowIfPast(long deadline)
    {
        if (deadline == PollDeadline.Expired || (deadline != PollDeadline.None && MonotonicClock.Now >= deadline))
        {
            throw new DeadlineExceededException();
        }
    }
}
