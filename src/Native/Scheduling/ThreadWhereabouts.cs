using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Scheduling;

/// <summary>What a thread is doing.</summary>
internal enum ThreadOccupation
{
    Unknown,
    ManagedWait,
    KernelCall,
    Computing,
}

/// <summary>What a thread is doing, and, if it sleeps in the kernel, in which call, or else in which place of the kernel; null: it does not
/// say.</summary>
internal readonly record struct ThreadWhereabouts(ThreadOccupation Occupation, string? KernelCall)
{
    /// <summary>Asks the kernel about a thread of this process.</summary>
    internal static ThreadWhereabouts Ask(KernelFiles files, int threadId)
    {
        string task = string.Create(CultureInfo.InvariantCulture, $"/proc/self/task/{threadId}/");
        if (files.Read(task + "stat") is not { } stat)
        {
            return default;
        }

        if (!BlockedTurnProbe.IsSleeping(Encoding.Latin1.GetBytes(stat)))
        {
            return new ThreadWhereabouts(ThreadOccupation.Computing, KernelCall: null);
        }

        string? call = NameOf(files.Read(task + "syscall"), RuntimeInformation.ProcessArchitecture) ?? PlaceOf(files.Read(task + "wchan"));
        return new ThreadWhereabouts(ThreadOccupation.KernelCall, call);
    }

    /// <summary>From <c>syscall</c>: the number and the arguments; <c>running</c>; -1 for a thread that sleeps in no call, as for a
    /// page.</summary>
    internal static string? NameOf(string? syscall, Architecture architecture)
    {
        ReadOnlySpan<char> first = syscall.AsSpan().Trim();
        int end = first.IndexOf(' ');
        first = end < 0 ? first : first[..end];
        return int.TryParse(first, NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            ? SystemCallNames.Find(number, architecture) ?? string.Create(CultureInfo.InvariantCulture, $"system call {number}")
            : null;
    }

    /// <summary>From <c>wchan</c>: a function of the kernel; 0, or nothing, where it keeps that to itself.</summary>
    internal static string? PlaceOf(string? wchan)
    {
        string? place = wchan?.Trim();
        return string.IsNullOrEmpty(place) || place == "0" ? null : place;
    }
}
