using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>Input that nobody reads (<see cref="UnreadInput"/>): a list, and one timer, which runs only while there is something in
/// it.</summary>
internal sealed partial class WorkerGroup
{
    /// <summary>Between a mark and the look at it, at most; and between two looks.</summary>
    internal const long UnreadNanoseconds = 5 * MonotonicClock.NanosecondsPerMillisecond;

    private readonly TurnTimer _unreadTimer;

    // Pushed by any thread, taken by the look.
    private TurnList<UnreadInput> _unread;

    // 1 from the first mark until the look begins. Interlocked: whoever makes it 1 sets the timer.
    private int _unreadLookIsSet;

    /// <summary>There may be input that nobody reads. Does nothing if that is known. Any thread.</summary>
    internal void OnUnread(UnreadInput input)
    {
        if (input.TryList())
        {
            _unread.Push(input);
            SetUnreadLook();
        }
    }

    private void SetUnreadLook()
    {
        if (Interlocked.Exchange(ref _unreadLookIsSet, 1) == 0)
        {
            ScheduleAt(_unreadTimer, MonotonicClock.Now + UnreadNanoseconds);
        }
    }

    private void LookAtUnread()
    {
        // First: what is pushed from now on sets the timer again.
        Interlocked.Exchange(ref _unreadLookIsSet, 0);
        UnreadInput? inputs = _unread.TakeAll();
        bool again = false;
        while (inputs is { } input)
        {
            inputs = input.Next;
            input.Next = null;
            input.Unlist();
            try
            {
                if (input.LookAgain() && input.TryList())
                {
                    _unread.Push(input);
                    again = true;
                }
            }
            catch (Exception e)
            {
                // The others are looked at all the same.
                Worker.Report(input, e);
            }
        }

        if (again)
        {
            SetUnreadLook();
        }
    }

    private sealed class UnreadLook(WorkerGroup group) : Turn
    {
        internal override void Run() => group.LookAtUnread();

        // Nothing gets here: each entry takes its own.
        internal override void OnUnhandledException(Exception exception)
        {
        }
    }
}
