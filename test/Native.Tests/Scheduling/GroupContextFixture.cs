using System.Threading.Tasks.Sources;
using KestrelNetpoll.Native.Scheduling;
using KestrelNetpoll.Native.Tests.Infrastructure;

namespace KestrelNetpoll.Native.Tests.Scheduling;

/// <summary>A context of two workers, and what the tests do with it.</summary>
public abstract class GroupContextFixture : IDisposable
{
    private readonly List<Exception> _unhandled = [];

    protected GroupContextFixture() =>
        Context = new GroupContext(Runtime.Groups[0], InRelay, OnUnhandled, static state => state is Relay);

    private protected NetpollRuntime Runtime { get; } = WorkerThreads.CreateRuntime(2, out _);

    private protected ThreadLocal<bool> InRelay { get; } = new();

    private protected GroupContext Context { get; }

    protected int UnhandledCount
    {
        get
        {
            lock (_unhandled)
            {
                return _unhandled.Count;
            }
        }
    }

    public void Dispose()
    {
        Runtime.Dispose();
        InRelay.Dispose();
        GC.SuppressFinalize(this);
    }

    protected void OnUnhandled(Exception exception)
    {
        lock (_unhandled)
        {
            _unhandled.Add(exception);
        }
    }

    protected void RunOnWorker(Action action)
    {
        using var done = new ManualResetEventSlim();
        Exception? failure = null;
        Context.Post(
            _ =>
            {
                try
                {
                    action();
                }
                catch (Exception e)
                {
                    failure = e;
                }
                finally
                {
                    done.Set();
                }
            },
            null);
        Assert.True(done.Wait(Patience.Limit));
        Assert.Null(failure);
    }

    private protected sealed class Relay;

    private protected sealed class Source(GroupContext context)
    {
        private TurnValueTaskSource<int> _source;

        internal bool Await(Action continuation, object? state = null) => _source.OnCompleted(
            _ => continuation(), state, _source.Version, ValueTaskSourceOnCompletedFlags.UseSchedulingContext, context);

        internal void Complete(int result) => _source.SetResult(result);

        internal void Deliver() => _source.Deliver();
    }
}
