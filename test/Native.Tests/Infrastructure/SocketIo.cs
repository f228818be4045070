using System.Net.Sockets;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;

namespace KestrelNetpoll.Native.Tests.Infrastructure;

/// <summary>Awaitable I/O on a <see cref="StreamSocket"/>: try, wait on EAGAIN, try again. Continuations run on the thread pool.</summary>
internal static class SocketIo
{
    internal static Task<PollResult> WaitReadableAsync(this StreamSocket socket) =>
        new Waiter(socket.BeginWaitReadable, socket.EndWaitReadable).Task;

    internal static Task<PollResult> WaitWritableAsync(this StreamSocket socket) =>
        new Waiter(socket.BeginWaitWritable, socket.EndWaitWritable).Task;

    internal static Task<PollResult> WaitReadableAsync(this ListenSocket socket) =>
        new Waiter(socket.BeginWaitReadable, socket.EndWaitReadable).Task;

    /// <summary>Bytes, or 0 at the end of the stream.</summary>
    /// <exception cref="SocketException">The kernel reports an error.</exception>
    internal static async Task<int> ReceiveAsync(this StreamSocket socket, Memory<byte> buffer)
    {
        while (true)
        {
            SyscallResult received = socket.Receive(buffer.Span);
            if (!received.WouldBlock)
            {
                return received.IsSuccess ? received.Value : throw SystemErrors.ToSocketException(received.Errno);
            }

            await socket.WaitReadableAsync().InTime();
        }
    }

    /// <exception cref="SocketException">The kernel reports an error.</exception>
    internal static async Task SendAllAsync(this StreamSocket socket, ReadOnlyMemory<byte> buffer)
    {
        while (!buffer.IsEmpty)
        {
            SyscallResult sent = socket.Send(buffer.Span);
            if (sent.IsSuccess)
            {
                buffer = buffer[sent.Value..];
            }
            else if (sent.WouldBlock)
            {
                await socket.WaitWritableAsync().InTime();
            }
            else
            {
                throw SystemErrors.ToSocketException(sent.Errno);
            }
        }
    }

    /// <summary>Accepts and starts one connection.</summary>
    internal static async Task<StreamSocket> AcceptAsync(this ListenSocket listener)
    {
        while (true)
        {
            SyscallResult accepted = listener.Accept(listener.Group, out StreamSocket? socket);
            if (accepted.IsSuccess)
            {
                socket!.Start();
                return socket;
            }

            if (!accepted.WouldBlock)
            {
                throw SystemErrors.ToSocketException(accepted.Errno);
            }

            await listener.WaitReadableAsync().InTime();
        }
    }

    private sealed class Waiter : Turn
    {
        private readonly TaskCompletionSource<PollResult> _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly Func<PollResult> _endWait;

        internal Waiter(Func<Turn, PollResult> beginWait, Func<PollResult> endWait)
        {
            _endWait = endWait;
            PollResult result = beginWait(this);
            if (result != PollResult.Pending)
            {
                _completion.SetResult(result);
            }
        }

        internal Task<PollResult> Task => _completion.Task;

        internal override void Run() => _completion.SetResult(_endWait());

        internal override void OnUnhandledException(Exception exception) => _completion.TrySetException(exception);
    }
}
