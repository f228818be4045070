using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>A deadline that schedules a turn when it has passed; armed by <see cref="WorkerGroup.ScheduleAt"/>, once at a time.</summary>
internal sealed class TurnTimer(Turn turn) : DeadlineTimer
{
    internal Turn Turn { get; } = turn;
}
