using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Polling;

public sealed class ReadyListTests
{
    [Fact]
    public void It_keeps_the_order_grows_and_ignores_nobody()
    {
        ReadyList ready = new(capacity: 1);
        CallbackTurn[] waiters = [.. Enumerable.Range(0, 10).Select(_ => new CallbackTurn())];
        ready.Add(null);
        foreach (CallbackTurn waiter in waiters)
        {
            ready.Add(waiter);
        }

        Assert.Equal(waiters.Length, ready.Count);
        Assert.Equal(waiters, Enumerable.Range(0, ready.Count).Select(ready.Take));
        ready.Clear();
        Assert.Equal(0, ready.Count);
        ready.Add(waiters[3]);
        Assert.Same(waiters[3], ready.Take(0));
    }
}
