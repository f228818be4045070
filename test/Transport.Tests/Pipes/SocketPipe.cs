using System.Buffers;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;
using KestrelNetpoll.Transport.Pipes;
using KestrelNetpoll.Transport.Reading;
using KestrelNetpoll.Transport.Tests.Infrastructure;
using KestrelNetpoll.Transport.Writing;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace KestrelNetpoll.Transport.Tests.Pipes;

/// <summary>
/// A reader and a writer on one end of a socket pair, and a blocking socket on the other. Disposing it checks that every block came
/// back to the pool and that no turn threw.
/// </summary>
internal sealed class SocketPipe : IAsyncDisposable
{
    private const int ReceiveTimeoutMilliseconds = 30_000;

    private readonly NetpollRuntime _runtime;
    private readonly bool _ownsRuntime;

    internal SocketPipe(
        int maxReadBufferSize = 0,
        int maxWriteBufferSize = 0,
        int sendBufferSize = 0,
        int workers = 2,
        MemoryPool<byte>? pool = null,
        NetpollRuntime? runtime = null,
        bool hangupTurn = true,
        bool fromUnixClient = false,
        TimeSpan? endLimit = null,
        bool onThreadPool = false,
        bool workersOnly = false)
    {
        Pool = new DiagnosticMemoryPool();
        _ownsRuntime = runtime is null;
        _runtime = runtime ?? new NetpollRuntime(
            new NetpollRuntimeOptions { WorkerCount = workers, Name = "test", Backend = SuiteSettings.EngineBackend }, SystemCalls);
        SystemCalls.SocketPair(LibC.AF_UNIX, LibC.SOCK_STREAM | LibC.SOCK_CLOEXEC, 0, out int first, out int second);
        SystemCalls.SetFlags(first, SystemCalls.GetFlags(first).Value | LibC.O_NONBLOCK);
        Peer = new Socket(new SafeSocketHandle(second, ownsHandle: true)) { ReceiveTimeout = ReceiveTimeoutMilliseconds };
        if (sendBufferSize != 0)
        {
            SystemCalls.SetSockOpt(first, LibC.SOL_SOCKET, LibC.SO_SNDBUF, sendBufferSize);
        }

        SocketAddressBytes address = default;
        if (fromUnixClient)
        {
            // As accept gives it: a client has no name.
            MemoryMarshal.Write(address.Buffer, (ushort)LibC.AF_UNIX);
            address = address.WithLength(sizeof(ushort));
        }

        Socket = new StreamSocket(first, _runtime.NextGroup(), SystemCalls, address);
        Owner = new RecordingOwner();
        Placement placement = onThreadPool ? Placement.ThreadPool : Placement.Workers;
        GroupContext? context = workersOnly ? new GroupContext(Socket.Group, new ThreadLocal<bool>(), static _ => { }, static _ => false) : null;
        Reader = new SocketPipeReader(Socket, pool ?? Pool, Owner, maxReadBufferSize, placement: placement, context: context);
        Writer = new SocketPipeWriter(
            Socket,
            pool ?? Pool,
            Owner,
            maxWriteBufferSize,
            Reader,
            onThreadPool,
            context,
            endNanoseconds: (long)(endLimit ?? Patience.Limit).TotalNanoseconds);
        Reader.AttachWriter(Writer);
        if (hangupTurn)
        {
            Socket.SetHangupTurn(new InputTurn(Reader));
        }

        Socket.Start();
    }

    internal ScriptedKernel SystemCalls { get; } = new();

    internal DiagnosticMemoryPool Pool { get; }

    internal Socket Peer { get; }

    internal StreamSocket Socket { get; }

    internal RecordingOwner Owner { get; }

    internal SocketPipeReader Reader { get; }

    internal SocketPipeWriter Writer { get; }

    internal bool OnWorker => Socket.Group.IsWorkerThread;

    internal long Turns => _runtime.GetStatistics().Turns;

    internal long HandOffs => _runtime.GetStatistics().HandOffs;

    internal void ShutdownPeer() => Peer.Shutdown(SocketShutdown.Send);

    internal void Send(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            bytes = bytes[Peer.Send(bytes)..];
        }
    }

    internal byte[] ReceiveExactly(int count)
    {
        byte[] bytes = new byte[count];
        for (int received = 0; received < count;)
        {
            int more = Peer.Receive(bytes.AsSpan(received));
            Assert.True(more != 0, $"The stream ended after {received} of {count} bytes.");
            received += more;
        }

        return bytes;
    }

    /// <summary>Runs an asynchronous function, which begins on a worker and stays there as long as it awaits only these pipes.</summary>
    internal Task RunOnWorker(Func<Task> function)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Socket.Group.Schedule(new ActionTurn(() => _ = RunAsync()));
        return done.Task;

        async Task RunAsync()
        {
            try
            {
                await function();
                done.SetResult();
            }
            catch (Exception e)
            {
                done.SetException(e);
            }
        }
    }

    /// <summary>Ends the connection as its owner would, without having been asked to send anything more.</summary>
    internal void Abort(Exception reason)
    {
        Owner.AbortReason = reason;
        Socket.Close();
        Reader.Abort(reason);
        Writer.Abort(reason);
    }

    /// <summary>
    /// Until the only worker has nothing more to do: whatever was begun before waits for the socket. With more workers, one could
    /// answer while another has not got that far.
    /// </summary>
    internal Task ParkedAsync()
    {
        Assert.Equal(1, _runtime.WorkerCount);
        return RunOnWorker(static () => Task.CompletedTask).InTime();
    }

    public async ValueTask DisposeAsync()
    {
        // The test may have ended on a worker, which cannot wait for itself.
        await Task.Run(() =>
        {
            Reader.Complete();
            Writer.Complete();
            Writer.Abort(new OperationCanceledException());
            Socket.Close();
            Peer.Dispose();
            if (_ownsRuntime)
            {
                _runtime.Dispose();
            }
        }).InTime();
        Assert.Null(Owner.Unexpected);
        Assert.Equal(0, _runtime.GetStatistics().FailedTurns);

        // A worker that was sending gives its blocks back when it notices, which may be after this, if the runtime goes on.
        await Patience.UntilAsync(() => Pool.RentedBlocks == 0, "all blocks are back in the pool");
    }

    private sealed class InputTurn(SocketPipeReader reader) : UnreadInput
    {
        internal override void Run() => reader.OnHangup();

        internal override bool LookAgain() => reader.LookAtUnread();

        internal override void OnUnhandledException(Exception exception) => throw exception;
    }

    private sealed class ActionTurn(Action action) : Turn
    {
        internal override void Run() => action();

        internal override void OnUnhandledException(Exception exception) => throw exception;
    }
}

/// <summary>Remembers what it was told.</summary>
internal sealed class RecordingOwner : ISocketPipeOwner
{
    private readonly TaskCompletionSource<Exception?> _inputEnded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<Exception> _outputFailed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<Exception> _outputBroken = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Exception? _abortReason;
    private int _sendingStops;
    private int _writeDeadlines;

    public string ConnectionId => "test";

    public ILogger Logger => NullLogger.Instance;

    public bool PrefersThreadPool { get; internal set; }

    public Exception? AbortReason
    {
        get => Volatile.Read(ref _abortReason);
        internal set => Volatile.Write(ref _abortReason, value);
    }

    internal Action? WhenSendingStops { get; set; }

    internal int WriteDeadlines => Volatile.Read(ref _writeDeadlines);

    internal int SendingStops => Volatile.Read(ref _sendingStops);

    internal Exception? Unexpected { get; set; }

    internal Task<Exception?> InputEnded => _inputEnded.Task;

    internal Task<Exception> OutputFailed => _outputFailed.Task;

    internal Task<Exception> OutputBroken => _outputBroken.Task;

    // SetResult, not TrySetResult: a second call is a mistake.
    public void OnInputEnded(Exception? error) => _inputEnded.SetResult(error);

    public void OnOutputFailed(Exception error) => _outputFailed.SetResult(error);

    public void OnOutputEnded()
    {
    }

    public void OnOutputBroken(Exception error) => _outputBroken.SetResult(error);

    public void OnSendingStopped(bool mayClose)
    {
        Interlocked.Increment(ref _sendingStops);
        WhenSendingStops?.Invoke();
    }

    public void OnWriteDeadlinePassed() => Interlocked.Increment(ref _writeDeadlines);

    public void OnUnexpectedException(Exception exception) => Unexpected = exception;
}
