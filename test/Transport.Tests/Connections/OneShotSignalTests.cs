using KestrelNetpoll.Transport.Connections;
using KestrelNetpoll.Transport.Tests.Infrastructure;

namespace KestrelNetpoll.Transport.Tests.Connections;

[OneMode]
public class OneShotSignalTests
{
    private OneShotSignal _signal;

    [Fact]
    public async Task Who_waits_before_continues_after()
    {
        Task first = _signal.WaitAsync();
        Task second = _signal.WaitAsync();
        Assert.False(first.IsCompleted);
        Assert.False(_signal.WaitAsync().IsCompleted);

        _signal.Set();
        _signal.Set();

        await first.InTime();
        await second.InTime();
        Assert.True(_signal.WaitAsync().IsCompleted);
    }

    [Fact]
    public void Who_waits_after_does_not_wait()
    {
        _signal.Set();

        Assert.True(_signal.WaitAsync().IsCompletedSuccessfully);
    }

    [Fact]
    public async Task Waiting_and_setting_at_once_never_misses()
    {
        for (int i = 0; i < 2_000; i++)
        {
            _signal = default;
            Task waiting = Task.Run(() => _signal.WaitAsync());
            _signal.Set();
            await waiting.InTime();
        }
    }
}
