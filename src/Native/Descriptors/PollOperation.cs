using System.Threading.Tasks.Sources;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Polling;
using KestrelNetpoll.Native.Scheduling;

namespace KestrelNetpoll.Native.Descriptors;

/// <summary>
/// An asynchronous operation on one direction of a descriptor: try the system call, park on EAGAIN, try again. Reusable, so that
/// waiting allocates nothing once warm. It holds the direction's lock from start to finish; the awaiter's code runs on the
/// thread pool, so that code that blocks there cannot stop a worker.
/// </summary>
/// <remarks>
/// <code>
///  stage      thread            next
///  --------   ---------------   ----------------------------------------------------------------------
///  Attempt    caller, worker    EAGAIN: parked, stays. Done: Complete (or returns at once to the caller)
///             pool (unpolled)   Done: Complete
///  Complete   thread pool       awaiter there: its code runs. Not yet: Deliver, when it registers
///  Deliver    thread pool       its code runs
/// </code>
/// The outcome is collected once; that recycles the operation. Cancelling sets a flag and raises a spurious edge: the operation
/// itself then ends, on its own thread, so nothing touches the buffer after the caller was told.
/// </remarks>
/// <typeparam name="TResult">What the operation yields.</typeparam>
internal abstract class PollOperation<TResult> : Turn, IValueTaskSource<TResult>, IThreadPoolWorkItem
{
    private readonly Descriptor _descriptor;
    private readonly PollMode _mode;
    private TurnValueTaskSource<TResult> _source;

    // Written before parking or queueing, read by whoever runs next: the semaphore or the queue orders them.
    private Stage _stage;
    private TResult _result = default!;
    private Exception? _error;
    private CancellationToken _cancellationToken;
    private CancellationTokenRegistration _registration;

    // The direction's lock, and a registered token, are this operation's to give back.
    private bool _attempting;

    // Set by the canceller, before it raises the edge.
    private volatile bool _cancelled;

    protected PollOperation(Descriptor descriptor, PollMode mode)
    {
        _descriptor = descriptor;
        _mode = mode;
    }

    private enum Stage
    {
        Attempt,
        Complete,
        Deliver,
    }

    protected SystemCalls SystemCalls => _descriptor.SystemCalls;

    protected int Fd => _descriptor.Fd;

    protected PollMode Mode => _mode;

    protected Descriptor Descriptor => _descriptor;

    /// <summary>
    /// Runs the operation. The caller holds the direction's lock, which is the operation's from here on, and has set the arguments.
    /// </summary>
    internal ValueTask<TResult> Start(CancellationToken cancellationToken)
    {
        _error = null;
        _cancelled = false;
        _stage = Stage.Attempt;
        _attempting = true;
        if (_descriptor.Poll is null)
        {
            return StartOnThreadPool();
        }

        PollResult poll = _descriptor.Poll.Prepare(_mode);
        if (!IsDone(poll))
        {
            short version = BeginWaiting(cancellationToken);
            if (!ParkOrFinish())
            {
                return new ValueTask<TResult>(this, version);
            }
        }

        EndAttempts();
        Exception? error = _error;
        TResult result = _result;
        Recycle();
        return error is null ? new ValueTask<TResult>(result) : ValueTask.FromException<TResult>(error);
    }

    /// <summary>Runs when an event, a deadline, a close or a cancellation took the operation off the semaphore.</summary>
    internal sealed override void Run()
    {
        if (IsDone(_descriptor.Poll!.EndWait(_mode)) || ParkOrFinish())
        {
            EndAttempts();
            QueueToThreadPool(Stage.Complete);
        }
    }

    /// <summary>Not from the kernel, nor from a buffer: those are results. Somebody waits all the same.</summary>
    internal sealed override void OnUnhandledException(Exception exception)
    {
        _error = exception;
        EndAttempts();
        QueueToThreadPool(Stage.Complete);
    }

    /// <summary>For the thread pool.</summary>
    void IThreadPoolWorkItem.Execute()
    {
        switch (_stage)
        {
            case Stage.Attempt:
                TryAttempt();
                EndAttempts();
                Complete();
                break;
            case Stage.Complete:
                Complete();
                break;
            default:
                _source.Deliver();
                break;
        }
    }

    TResult IValueTaskSource<TResult>.GetResult(short token)
    {
        // Asked too early, or for an operation long collected: that throws, and the operation stays whose it is.
        bool complete = _source.GetStatus(token) != ValueTaskSourceStatus.Pending;
        try
        {
            return _source.GetResult(token);
        }
        finally
        {
            if (complete)
            {
                // Here and not when it is used next: from now on, the old token is refused.
                _source.Reset();
                Recycle();
            }
        }
    }

    ValueTaskSourceStatus IValueTaskSource<TResult>.GetStatus(short token) => _source.GetStatus(token);

    void IValueTaskSource<TResult>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
    {
        if (_source.OnCompleted(continuation, state, token, flags))
        {
            QueueToThreadPool(Stage.Deliver);
        }
    }

    /// <summary>
    /// One system call, or as many as make progress. True: done, with a result or an exception. False: EAGAIN.
    /// </summary>
    protected abstract bool Attempt(out TResult result, out Exception? error);

    /// <summary>The exception for a wait that ended without readiness.</summary>
    protected abstract Exception ToException(PollResult result);

    /// <summary>The exception for an operation that was cancelled.</summary>
    protected virtual OperationCanceledException CanceledException(CancellationToken cancellationToken) => new(cancellationToken);

    /// <summary>The outcome was collected: drop the arguments and go back to where operations are kept.</summary>
    protected abstract void Recycle();

    // For files that cannot be polled (regular files): the call blocks, so it does not happen on the caller's thread.
    private ValueTask<TResult> StartOnThreadPool()
    {
        short version = _source.Version;
        QueueToThreadPool(Stage.Attempt);
        return new ValueTask<TResult>(this, version);
    }

    private short BeginWaiting(CancellationToken cancellationToken)
    {
        _cancellationToken = cancellationToken;
        _registration = cancellationToken.UnsafeRegister(
            static operation => ((PollOperation<TResult>)operation!).Cancel(), this);
        return _source.Version;
    }

    // Runs on the canceller's thread. The registration is disposed before the operation can be recycled, and disposing waits for
    // this: it never cancels a later operation. Finding nobody parked it leaves the edge behind for the one about to park.
    private void Cancel()
    {
        _cancelled = true;
        _descriptor.Group.Schedule(_descriptor.Poll!.Wake(_mode));
    }

    // False: parked, and this thread must not touch the operation any more.
    private bool ParkOrFinish()
    {
        PollDescriptor poll = _descriptor.Poll!;
        while (true)
        {
            PollResult result = poll.BeginWait(_mode, this);
            if (result == PollResult.Pending)
            {
                return false;
            }

            if (IsDone(result))
            {
                return true;
            }
        }
    }

    private bool IsDone(PollResult result)
    {
        if (_cancelled)
        {
            _error = CanceledException(_cancellationToken);
            return true;
        }

        if (result != PollResult.Ready)
        {
            _error = ToException(result);
            return true;
        }

        return TryAttempt();
    }

    private bool TryAttempt()
    {
        try
        {
            return Attempt(out _result, out _error);
        }
        catch (Exception exception)
        {
            // Not from the kernel: a buffer of the caller's that cannot be pinned any more, say. It is his to see.
            _error = exception;
            return true;
        }
    }

    private void EndAttempts()
    {
        if (!_attempting)
        {
            return;
        }

        _attempting = false;
        _registration.Dispose();
        _registration = default;
        _cancellationToken = default;
        _descriptor.Unlock(_mode);
    }

    private void Complete()
    {
        if (_error is { } error)
        {
            _source.SetException(error);
        }
        else
        {
            _source.SetResult(_result);
        }
    }

    private void QueueToThreadPool(Stage stage)
    {
        _stage = stage;
        ThreadPoolQueue.Add(this);
    }
}
