using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;

namespace KestrelNetpoll.Native.Files;

/// <summary>Waits until poll(2) says that the file is ready in one direction, and moves nothing. Used once.</summary>
internal sealed class ReadinessOperation(FileDescriptor file, PollMode mode) : FileOperation<bool>(file, mode)
{
    private readonly short _events = mode == PollMode.Read ? LibC.POLLIN : LibC.POLLOUT;

    protected override bool Attempt(out bool result, out Exception? error)
    {
        SyscallResult polled = SystemCalls.Poll(Fd, _events, out short events);
        error = polled.IsError ? ToException(polled, "poll") : null;
        result = events != 0;
        return result || error is not null;
    }

    protected override void Recycle()
    {
    }
}
