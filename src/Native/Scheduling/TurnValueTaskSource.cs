using System.Runtime.ExceptionServices;
using System.Threading.Tasks.Sources;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// A reusable value-task source whose awaiter's continuation runs where its owner says, always. The framework's core queues a
/// continuation to the thread pool when the result was there before the awaiter registered; an app would then run on the pool
/// by chance. Here the owner is asked to schedule the delivery instead.
/// </summary>
/// <remarks>
/// <code>
///  state       Complete                       OnCompleted
///  ---------   ----------------------------   --------------------------------------------------
///  Pending     → Completed, nothing runs      → Awaited
///  Awaited     delivers: continuation inline  (misuse: the framework's core throws)
///  Completed   (misuse)                       → Awaited; true: the owner schedules Deliver
/// </code>
/// One awaiter, one completion per <see cref="Reset"/>. Contexts and schedulers captured by the awaiter are honoured by the
/// framework's core, which this wraps; all but one: the context of the group in whose turns the owner delivers. Posting to it would be a
/// hop to where the delivery is already, so the continuation runs under it at once. Mutable struct: a field, never copied.
/// </remarks>
/// <typeparam name="T">The type of the result.</typeparam>
internal struct TurnValueTaskSource<T>
{
    private const int Pending = 0;
    private const int Awaited = 1;
    private const int Completed = 2;
    private const int MaxHiddenLooks = 4;

    private ManualResetValueTaskSourceCore<T> _core;
    private T _result;
    private Exception? _error;

    // Interlocked only: it publishes _result and _error, and decides which side delivers.
    private int _state;

    // The context that the awaiter captured, if it is the owner's group's; and whether what awaits is a relay.
    private GroupContext? _context;
    private bool _relay;

    // For the one awaiter; see LookFrom.
    private int _hiddenLooks;

    internal readonly short Version => _core.Version;

    /// <summary>Begins a new operation. The previous one's result must have been consumed.</summary>
    internal void Reset()
    {
        _core.Reset();
        _result = default!;
        _error = null;
        _hiddenLooks = MaxHiddenLooks;
        Volatile.Write(ref _state, Pending);
    }

    /// <summary>Completes the operation; runs the continuation inline if the awaiter is there. Never under a lock.</summary>
    internal void SetResult(T result)
    {
        _result = result;
        Complete();
    }

    /// <inheritdoc cref="SetResult"/>
    internal void SetException(Exception exception)
    {
        _error = exception;
        Complete();
    }

    /// <summary>
    /// The source's OnCompleted. True: the operation was complete already, and the owner must see to it that
    /// <see cref="Deliver"/> is called where continuations run; not from here.
    /// </summary>
    /// <param name="continuation">As given to the source.</param>
    /// <param name="state">As given to the source.</param>
    /// <param name="token">As given to the source.</param>
    /// <param name="flags">As given to the source.</param>
    /// <param name="context">
    /// The context of the group in whose turns, and only there, at their bottom, the owner completes and delivers. Null: none.
    /// </param>
    internal bool OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags, GroupContext? context = null)
    {
        _hiddenLooks = 0;
        bool captured = context is not null
            && (flags & ValueTaskSourceOnCompletedFlags.UseSchedulingContext) != 0
            && ReferenceEquals(SynchronizationContext.Current, context);

        // The core first: it refuses a second or a late awaiter, who must not take the first one's context away.
        _core.OnCompleted(continuation, state, token, captured ? flags & ~ValueTaskSourceOnCompletedFlags.UseSchedulingContext : flags);
        _context = captured ? context : null;
        _relay = captured && context!.IsRelay(state);
        return Interlocked.Exchange(ref _state, Awaited) == Completed;
    }

    /// <summary>Hands the stored outcome to the awaiter, inline.</summary>
    internal void Deliver()
    {
        // The continuation may begin the next operation: nothing of this one may be looked at afterwards.
        GroupContext? context = _context;
        if (context is null)
        {
            DeliverToCore();
            return;
        }

        bool relay = _relay;
        SynchronizationContext? previous = context.Enter(relay);
        try
        {
            DeliverToCore();
        }
        finally
        {
            context.Leave(previous, relay);
        }
    }

    private void DeliverToCore()
    {
        if (_error is { } error)
        {
            _core.SetException(error);
        }
        else
        {
            _core.SetResult(_result);
        }
    }

    internal ValueTaskSourceStatus GetStatus(short token)
    {
        ValueTaskSourceStatus status = _core.GetStatus(token);
        if (status != ValueTaskSourceStatus.Pending || Volatile.Read(ref _state) != Completed)
        {
            return status;
        }

        return _error switch
        {
            null => ValueTaskSourceStatus.Succeeded,
            OperationCanceledException => ValueTaskSourceStatus.Canceled,
            _ => ValueTaskSourceStatus.Faulted,
        };
    }

    /// <summary>
    /// The same for an owner whose awaiters are to go on inside of its turns, and nowhere else. A worker may be quicker than the awaiter,
    /// who would find the operation complete, and go on where it is. So the first looks from outside of a turn say Pending, whatever is
    /// true. An awaiter looks once or twice before it registers. Whoever only polls looks again and learns the truth.
    /// </summary>
    /// <param name="token">As given to the source.</param>
    /// <param name="isInTurn">Whether the calling thread is inside such a turn.</param>
    internal ValueTaskSourceStatus LookFrom(short token, bool isInTurn)
    {
        ValueTaskSourceStatus status = GetStatus(token);
        if (status == ValueTaskSourceStatus.Pending || _hiddenLooks == 0 || isInTurn)
        {
            return status;
        }

        _hiddenLooks--;
        return ValueTaskSourceStatus.Pending;
    }

    internal T GetResult(short token)
    {
        // Completed and never awaited: somebody polled. The core does not have the outcome, but it checks the token.
        if (_core.GetStatus(token) == ValueTaskSourceStatus.Pending && Volatile.Read(ref _state) == Completed)
        {
            if (_error is { } error)
            {
                ExceptionDispatchInfo.Throw(error);
            }

            return _result;
        }

        return _core.GetResult(token);
    }

    private void Complete()
    {
        if (Interlocked.CompareExchange(ref _state, Completed, Pending) == Awaited)
        {
            Deliver();
        }
    }
}
