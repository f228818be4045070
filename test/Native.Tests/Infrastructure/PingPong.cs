using System.Diagnostics;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Sockets;

namespace KestrelNetpoll.Native.Tests.Infrastructure;

/// <summary>A pair of sockets on which each turn causes the next one, on the workers alone. Each computes for as long as it is told.</summary>
internal sealed class PingPong : IDisposable
{
    private readonly StreamSocket _first;
    private readonly StreamSocket _second;
    private readonly CallbackTurn _turn;
    private readonly ManualResetEventSlim _ended = new();
    private readonly byte[] _buffer = new byte[16];
    private readonly TimeSpan _work;
    private long _rounds;
    private volatile bool _stopping;

    internal PingPong(NetpollRuntime runtime, TimeSpan work = default)
    {
        _work = work;
        (_first, _second) = SocketPairs.CreateStarted(runtime);
        _turn = new CallbackTurn(Play);
        runtime.Groups[0].Schedule(new CallbackTurn(Wait));
    }

    public void Dispose()
    {
        _stopping = true;
        _ended.WaitInTime("the game has ended");
        _first.Close();
        _second.Close();
        _ended.Dispose();
    }

    internal void WaitForRounds(int rounds) => Patience.Until(() => Volatile.Read(ref _rounds) >= rounds, "the game goes on");

    private void Play()
    {
        _first.EndWaitReadable();
        Volatile.Write(ref _rounds, _rounds + 1);
        long begun = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(begun) < _work)
        {
        }

        if (_stopping)
        {
            _ended.Set();
            return;
        }

        Wait();
    }

    // Sent before the wait: the event finds whoever is awake, or wakes who is asleep.
    private void Wait()
    {
        _first.Receive(_buffer);
        while (_first.BeginWaitReadable(_turn) == PollResult.Ready)
        {
            // What was latched before the byte was read.
        }

        _second.Send([1]);
    }
}
