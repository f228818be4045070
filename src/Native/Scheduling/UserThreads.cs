using System.Globalization;
using KestrelNetpoll.Native.Interop;
using KestrelNetpoll.Native.Timers;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>
/// How many threads other processes of a user have. Nobody knows but the processes, of which there may be thousands, and who asks has
/// something else to do: so each call looks at some of them, and a whole round takes as many calls as it takes. Not thread-safe.
/// </summary>
/// <remarks>
/// <code>
///   round                 the answer is
///   never finished        what was found so far, and as much in proportion for those that have not been asked
///   finished before       what the last one has found, for 5 s; then the next one begins
/// </code>
/// </remarks>
/// <param name="files">The files of the kernel.</param>
/// <param name="slice">How long a call may take, beside the list of processes, which is read once a round.</param>
internal sealed class UserThreads(KernelFiles files, TimeSpan slice)
{
    /// <summary>About fifty processes: as long as all else that is read then.</summary>
    internal static readonly TimeSpan DefaultSlice = TimeSpan.FromMilliseconds(1);

    internal const long IntervalNanoseconds = 5_000 * MonotonicClock.NanosecondsPerMillisecond;

    private readonly string _self = Environment.ProcessId.ToString(CultureInfo.InvariantCulture);

    // Of the round that goes on: all processes but this one, how many have been asked, and what they have.
    private readonly List<string> _processes = [];
    private int _asked;
    private long _found;
    private bool _goesOn;

    // Of the last one that was finished.
    private long _others;
    private long _finishedAt;
    private bool _hasFinished;

    /// <summary>
    /// An estimate, at first, and then what was true some seconds ago. What cannot be read now sets <see cref="KernelFiles.IsIncomplete"/>.
    /// </summary>
    internal long Count(long? user)
    {
        long now = files.Clock();
        if (!_goesOn && (!_hasFinished || now - _finishedAt >= IntervalNanoseconds))
        {
            Begin();
        }

        if (_goesOn)
        {
            GoOn(user, now);
        }

        return _hasFinished ? _others : _found * _processes.Count / Math.Max(_asked, 1);
    }

    private void Begin()
    {
        _processes.Clear();
        _asked = 0;
        _found = 0;
        try
        {
            foreach (string folder in Directory.EnumerateDirectories(files.PathOf("/proc")))
            {
                string process = Path.GetFileName(folder);
                if (char.IsAsciiDigit(process[0]) && process != _self)
                {
                    _processes.Add(process);
                }
            }

            _goesOn = true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            files.IsIncomplete = true;
        }
    }

    private void GoOn(long? user, long begun)
    {
        bool wasIncomplete = files.IsIncomplete;
        long end = begun + (long)slice.TotalNanoseconds;
        while (_asked < _processes.Count)
        {
            // It may have ended by now.
            string? status = files.Read($"/proc/{_processes[_asked]}/status");
            if (files.IsIncomplete && !wasIncomplete)
            {
                // Asked again next time.
                return;
            }

            _asked++;
            if (status is not null && KernelFiles.Find(status, "Uid:") == user)
            {
                _found += KernelFiles.Find(status, "Threads:") ?? 0;
            }

            if (files.Clock() >= end)
            {
                break;
            }
        }

        if (_asked == _processes.Count)
        {
            _goesOn = false;
            _hasFinished = true;
            _others = _found;
            _finishedAt = begun;
        }
    }
}
