using System.Runtime.CompilerServices;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// The synchronization context of code that is to stay on the workers of a group: what is posted runs on any of them, and several at the
/// same time. There is no one-at-a-time rule, so that blocking for a continuation of one's own request is no deadlock. Thread-safe.
/// </summary>
/// <remarks>
/// <see cref="Post"/> does not run anything inline: whoever posts may hold a lock, or rely on going on first. Running inline is right in
/// one place, at the bottom of a turn, with nothing else on the stack: there <see cref="TurnValueTaskSource{T}"/> runs the continuation
/// under this context itself (<see cref="Enter"/>) instead of posting it. That continuation may be a <em>relay</em>: a method of the
/// framework that only passes on what it awaited. What it posts as it ends belongs to the same delivery, and runs inline as well.
/// </remarks>
internal sealed class GroupContext : SynchronizationContext
{
    private readonly WorkerGroup _group;
    private readonly Action<Exception> _onUnhandledException;
    private readonly Func<object, bool> _isRelay;

    // Is the thread inside a relay, at the bottom of a turn? Shared by the contexts of a runtime, and never disposed of: posting works
    // ever after.
    private readonly ThreadLocal<bool> _inRelay;

    /// <param name="group">Whose workers run what is posted.</param>
    /// <param name="inRelay">The contexts' memory of what their threads are doing.</param>
    /// <param name="onUnhandledException">Told of what a posted callback threw, on a worker. The worker goes on.</param>
    /// <param name="isRelay">Tells relays by the state of their continuation.</param>
    internal GroupContext(
        WorkerGroup group, ThreadLocal<bool> inRelay, Action<Exception> onUnhandledException, Func<object, bool> isRelay)
    {
        _group = group;
        _inRelay = inRelay;
        _onUnhandledException = onUnhandledException;
        _isRelay = isRelay;
    }

    /// <summary>Does the calling thread belong to the group?</summary>
    internal bool IsWorkerThread => _group.IsWorkerThread;

    public override void Post(SendOrPostCallback d, object? state)
    {
        // A callback over an Action<object> is how a value-task source hands out its continuation: the relay's end, and not what it may do
        // on the way, such as completing a task under a lock.
        if (d.Target is Action<object?> && _inRelay.Value && ReferenceEquals(Current, this))
        {
            _inRelay.Value = IsRelay(state);
            d(state);
            _inRelay.Value = false;
        }
        else
        {
            // As the thread pool does it: an await brings its execution context along, but what is posted directly, by a Progress<T> for
            // instance, belongs to that of whoever posts it.
            _group.Schedule(new PostedTurn(this, d, state, ExecutionContext.Capture()));
        }
    }

    /// <summary>Runs the callback at once, on the calling thread, under this context.</summary>
    public override void Send(SendOrPostCallback d, object? state)
    {
        SynchronizationContext? previous = Current;
        SetSynchronizationContext(this);
        try
        {
            d(state);
        }
        finally
        {
            SetSynchronizationContext(previous);
        }
    }

    public override SynchronizationContext CreateCopy() => this;

    /// <summary>What awaits it goes on on a worker, in a turn of its own, under this context.</summary>
    internal WorkerAwaitable SwitchToWorker() => new(this);

    /// <summary>Is that the state of a relay's continuation?</summary>
    internal bool IsRelay(object? continuationState) => continuationState is not null && _isRelay(continuationState);

    /// <summary>At the bottom of a turn: what follows runs under this context, until <see cref="Leave"/>.</summary>
    /// <returns>The thread's context so far.</returns>
    internal SynchronizationContext? Enter(bool relay)
    {
        SynchronizationContext? previous = Current;
        SetSynchronizationContext(this);
        if (relay)
        {
            _inRelay.Value = true;
        }

        return previous;
    }

    internal void Leave(SynchronizationContext? previous, bool relay)
    {
        if (relay)
        {
            _inRelay.Value = false;
        }

        SetSynchronizationContext(previous);
    }

    internal readonly struct WorkerAwaitable(GroupContext context) : ICriticalNotifyCompletion
    {
        public bool IsCompleted => false;

        public WorkerAwaitable GetAwaiter() => this;

        public void GetResult()
        {
        }

        public void OnCompleted(Action continuation) => UnsafeOnCompleted(continuation);

        public void UnsafeOnCompleted(Action continuation) =>
            context._group.Schedule(new PostedTurn(context, static state => ((Action)state!)(), continuation, executionContext: null));
    }

    private sealed class PostedTurn(
        GroupContext context, SendOrPostCallback callback, object? state, ExecutionContext? executionContext) : Turn
    {
        internal override void Run()
        {
            bool relay = callback.Target is Action<object?> && context.IsRelay(state);
            SynchronizationContext? previous = context.Enter(relay);
            try
            {
                if (executionContext is null)
                {
                    Invoke();
                }
                else
                {
                    ExecutionContext.Run(executionContext, static turn => ((PostedTurn)turn!).Invoke(), this);
                }
            }
            finally
            {
                context.Leave(previous, relay);
            }
        }

        internal override void OnUnhandledException(Exception exception) => context._onUnhandledException(exception);

        private void Invoke() => callback(state);
    }
}
