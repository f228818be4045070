using System.Threading.Tasks.Sources;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// The one asynchronous call that may be out at a time, of a reader, a writer, or whoever accepts: its value task, and the token that may
/// end it. For an owner with a lock, under which it decides when the wait is over. Mutable struct: a field, never copied.
/// </summary>
/// <remarks>
/// <code>
///   state      entered by             the owner then
///   --------   --------------------   ---------------------------------------------------------
///   none       the result is fetched
///   waits      BeginLocked            calls RegisterToken, without the lock, and returns the task
///   ended      EndLocked              unregisters the token and sets the result, without the lock
/// </code>
/// </remarks>
/// <typeparam name="T">The type of the result.</typeparam>
internal struct OneWait<T>
{
    private TurnValueTaskSource<T> _source;
    private CancellationToken _token;
    private CancellationTokenRegistration _registration;

    // Cleared without the lock, by the one awaiter.
    private volatile bool _isOut;

    /// <summary>It has begun, and its result has not been fetched. May be asked without the lock.</summary>
    internal readonly bool IsOut => _isOut;

    /// <summary>Under the lock: it has begun, and not ended.</summary>
    internal bool Waits { get; private set; }

    /// <summary>Under the lock: was its token cancelled while it waited?</summary>
    internal bool IsCanceled { get; private set; }

    /// <summary>Of the call that is out.</summary>
    internal readonly short Version => _source.Version;

    internal void BeginLocked(CancellationToken cancellationToken)
    {
        _source.Reset();
        _token = cancellationToken;
        Waits = true;
        _isOut = true;
    }

    /// <summary>Without the lock, by the call that has begun: nobody can begin another one before it has returned.</summary>
    /// <param name="ownersLock">The lock.</param>
    /// <param name="owner">Given to <paramref name="onCanceled"/>.</param>
    /// <param name="onCanceled">
    /// Calls <see cref="TryCancelLocked"/>, under the lock. The token can be cancelled between the caller's look at it and here; then this
    /// runs at once, on this thread.
    /// </param>
    /// <param name="cancellationToken">As given to <see cref="BeginLocked"/>.</param>
    internal void RegisterToken(
        Lock ownersLock, object owner, Action<object?, CancellationToken> onCanceled, CancellationToken cancellationToken)
    {
        if (!cancellationToken.CanBeCanceled)
        {
            return;
        }

        CancellationTokenRegistration registration = cancellationToken.UnsafeRegister(onCanceled, owner);
        lock (ownersLock)
        {
            if (Waits)
            {
                _registration = registration;
                return;
            }
        }

        registration.Unregister();
    }

    /// <summary>
    /// False: the callback is late, and its call has ended. That does no harm: the next one either has another token or is
    /// meant.
    /// </summary>
    internal bool TryCancelLocked(CancellationToken cancellationToken)
    {
        if (!Waits || _token != cancellationToken)
        {
            return false;
        }

        IsCanceled = true;
        return true;
    }

    /// <summary>What a call throws whose token was cancelled.</summary>
    internal readonly OperationCanceledException CanceledException() => new(_token);

    /// <summary>The caller, and nobody else, sets the result.</summary>
    /// <returns>To be unregistered, not disposed of, which may wait for a callback; one that runs late finds its call gone.</returns>
    internal CancellationTokenRegistration EndLocked()
    {
        CancellationTokenRegistration registration = _registration;
        _registration = default;
        _token = default;
        Waits = false;
        IsCanceled = false;
        return registration;
    }

    /// <inheritdoc cref="TurnValueTaskSource{T}.SetResult"/>
    internal void SetResult(T result) => _source.SetResult(result);

    /// <inheritdoc cref="TurnValueTaskSource{T}.SetResult"/>
    internal void SetException(Exception exception) => _source.SetException(exception);

    /// <inheritdoc cref="TurnValueTaskSource{T}.Deliver"/>
    internal void Deliver() => _source.Deliver();

    /// <inheritdoc cref="TurnValueTaskSource{T}.OnCompleted"/>
    internal bool OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags, GroupContext? context = null) =>
        _source.OnCompleted(continuation, state, token, flags, context);

    internal ValueTaskSourceStatus GetStatus(short token) => _source.GetStatus(token);

    /// <inheritdoc cref="TurnValueTaskSource{T}.LookFrom"/>
    internal ValueTaskSourceStatus LookFrom(short token, bool isInTurn) => _source.LookFrom(token, isInTurn);

    /// <summary>Whoever asks too early, or for a call that has ended, is refused, and does not end the one that is out.</summary>
    internal T GetResult(short token)
    {
        bool isComplete = _source.GetStatus(token) != ValueTaskSourceStatus.Pending;
        try
        {
            return _source.GetResult(token);
        }
        finally
        {
            if (isComplete)
            {
                _isOut = false;
            }
        }
    }
}
