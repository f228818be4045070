using KestrelNetpoll.Native.Files;
using KestrelNetpoll.Native.Interop;
using Microsoft.Win32.SafeHandles;

namespace KestrelNetpoll.Native.Tests.Files;

/// <summary>Which numbers share an open file that was made non-blocking: what has no name has one identity, and there may be
/// thousands.</summary>
public sealed class SharedOpenFilesTests : IDisposable
{
    private readonly List<SafeFileHandle> _handles = [];
    private readonly FileNumbers _numbers = new();

    public void Dispose() => _handles.ForEach(static handle => handle.Dispose());

    /// <summary>Also of those that are non-blocking when they come, each of which might be one of the others.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(LibC.O_NONBLOCK)]
    public void Taking_a_number_and_giving_it_back_cost_the_same_however_many_there_are(int flags)
    {
        const int Count = 300;
        CountingKernel kernel = new();
        List<SafeFileHandle> others = [.. Enumerable.Range(0, Count).Select(_ => NewEventFd(0))];
        List<SafeFileHandle> handles = [.. Enumerable.Range(0, Count).Select(_ => NewEventFd(flags))];
        others.ForEach(handle => Take(kernel, handle));
        handles.ForEach(handle => Take(kernel, handle));
        foreach (SafeFileHandle handle in handles)
        {
            Assert.True(ProcessInfo.IsNonBlocking(NumberOf(handle)));
            _numbers.Remove(kernel, NumberOf(handle), handle);
            Assert.Equal(flags != 0, ProcessInfo.IsNonBlocking(NumberOf(handle)));
        }

        Assert.InRange(kernel.Calls, Count, 2 * 10 * Count);
    }

    /// <summary>Whichever of them goes first, also if a stranger has made it blocking in between, and where the kernel lets none be
    /// marked.</summary>
    [Theory]
    [InlineData(true, false, false)]
    [InlineData(false, false, false)]
    [InlineData(true, true, false)]
    [InlineData(false, true, false)]
    [InlineData(true, false, true)]
    [InlineData(false, true, true)]
    public void What_several_numbers_share_stays_non_blocking_until_the_last_one_goes(
        bool firstGoesFirst, bool disturbed, bool refusesMarks)
    {
        SystemCalls kernel = refusesMarks ? new MarkingRefused() : SystemCalls.Instance;
        List<SafeFileHandle> others = [.. Enumerable.Range(0, 20).Select(_ => NewEventFd(0))];
        SafeFileHandle first = NewEventFd(0);
        SafeFileHandle second = Own(FileLibC.dup(NumberOf(first)));
        others.ForEach(handle => Take(kernel, handle));
        Take(kernel, first);
        if (disturbed)
        {
            FileNumbers.ClearNonBlocking(kernel, NumberOf(first));
        }

        Take(kernel, second);

        (SafeFileHandle goes, SafeFileHandle stays) = firstGoesFirst ? (first, second) : (second, first);
        _numbers.Remove(kernel, NumberOf(goes), goes);
        Assert.True(ProcessInfo.IsNonBlocking(NumberOf(stays)));
        _numbers.Remove(kernel, NumberOf(stays), stays);
        Assert.False(ProcessInfo.IsNonBlocking(NumberOf(stays)));
        Assert.All(others, static handle => Assert.True(ProcessInfo.IsNonBlocking(NumberOf(handle))));
        Assert.Equal(0, kernel.GetFlags(NumberOf(first)).Value & LibC.O_APPEND);
        Assert.Equal(0, SystemCalls.Instance.GetSignal(NumberOf(first)).Value);
    }

    /// <summary>What has no mark may be that one, but only as long as it is there, and only where it can be the same.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void One_that_could_not_be_marked_makes_others_cost_more_only_while_they_may_be_it(bool isAnother)
    {
        const int Count = 300;
        CountingKernel kernel = new();
        Assert.True(kernel.Pipe2(out int read, out int write, LibC.O_CLOEXEC).IsSuccess);
        Own(write);
        SafeFileHandle pipe = Own(read);
        SafeFileHandle unmarked = isAnother ? pipe : NewEventFd(0);

        // With one more of its kind, the kind is known to the end.
        SafeFileHandle marked = NewEventFd(0);
        List<SafeFileHandle> handles = [.. Enumerable.Range(0, Count).Select(_ => NewEventFd(0))];
        kernel.RefusesMarkOf = NumberOf(unmarked);
        Take(kernel, unmarked);
        Take(kernel, marked);
        if (!isAnother)
        {
            _numbers.Remove(kernel, NumberOf(unmarked), unmarked);
        }

        handles.ForEach(handle => Take(kernel, handle));
        Assert.InRange(kernel.Calls, Count, 10 * Count);
    }

    /// <summary>Also if some have gone, and others come in their place.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_second_number_that_comes_soon_is_not_searched_for_among_all(bool someHaveGone)
    {
        const int Count = 300;
        CountingKernel kernel = new();
        List<SafeFileHandle> handles = [.. Enumerable.Range(0, Count).Select(_ => NewEventFd(0))];
        SafeFileHandle second = Own(FileLibC.dup(NumberOf(handles[^1])));
        handles.ForEach(handle => Take(kernel, handle));
        if (someHaveGone)
        {
            List<SafeFileHandle> gone = [.. handles.Where(static (_, index) => index % 3 == 1), handles[^1]];
            gone.ForEach(handle => _numbers.Remove(kernel, NumberOf(handle), handle));
            gone.ForEach(handle => Take(kernel, handle));
        }

        int before = kernel.Calls;

        Take(kernel, second);

        Assert.InRange(kernel.Calls - before, 1, 20);
        _numbers.Remove(kernel, NumberOf(handles[^1]), handles[^1]);
        Assert.True(ProcessInfo.IsNonBlocking(NumberOf(second)));
        _numbers.Remove(kernel, NumberOf(second), second);
        Assert.False(ProcessInfo.IsNonBlocking(NumberOf(second)));
    }

    /// <summary>The flag by which it is known may have been chosen for some of them.</summary>
    [Theory]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public void A_second_number_is_told_from_others_that_have_the_flag_already(bool othersHaveIt, bool firstHasIt)
    {
        int ofOthers = othersHaveIt ? LibC.O_APPEND : 0;
        int ofFirst = firstHasIt ? LibC.O_APPEND : 0;
        SystemCalls kernel = SystemCalls.Instance;
        SafeFileHandle[] others = [NewEventFd(0), NewEventFd(0), NewEventFd(0)];
        SafeFileHandle first = NewEventFd(0);
        SafeFileHandle second = Own(FileLibC.dup(NumberOf(first)));
        Take(kernel, others[0]);
        Take(kernel, first);
        Take(kernel, others[1]);
        Take(kernel, others[2]);
        Array.ForEach(others, handle => Set(handle, ofOthers));
        Set(first, ofFirst);

        Take(kernel, second);

        _numbers.Remove(kernel, NumberOf(first), first);
        Assert.True(ProcessInfo.IsNonBlocking(NumberOf(second)));
        _numbers.Remove(kernel, NumberOf(second), second);
        Assert.False(ProcessInfo.IsNonBlocking(NumberOf(second)));
        Assert.All(others, handle => Assert.Equal(ofOthers, kernel.GetFlags(NumberOf(handle)).Value & LibC.O_APPEND));
        Assert.Equal(ofFirst, kernel.GetFlags(NumberOf(first)).Value & LibC.O_APPEND);

        void Set(SafeFileHandle handle, int flag) =>
            kernel.SetFlags(NumberOf(handle), kernel.GetFlags(NumberOf(handle)).Value | flag);
    }

    [Fact]
    public void A_signal_that_the_owner_has_chosen_stays()
    {
        SystemCalls kernel = SystemCalls.Instance;
        const int Chosen = 40;
        SafeFileHandle first = NewEventFd(0);
        SafeFileHandle second = Own(FileLibC.dup(NumberOf(first)));
        Assert.True(kernel.SetSignal(NumberOf(first), Chosen).IsSuccess);
        Take(kernel, first);
        Take(kernel, second);

        _numbers.Remove(kernel, NumberOf(first), first);
        Assert.True(ProcessInfo.IsNonBlocking(NumberOf(second)));
        _numbers.Remove(kernel, NumberOf(second), second);
        Assert.False(ProcessInfo.IsNonBlocking(NumberOf(second)));
        Assert.Equal(Chosen, kernel.GetSignal(NumberOf(first)).Value);
    }

    private static int NumberOf(SafeFileHandle handle) => (int)handle.DangerousGetHandle();

    private void Take(SystemCalls kernel, SafeFileHandle handle)
    {
        Assert.True(_numbers.TryAdd(kernel, NumberOf(handle), handle));
        FileIdentity identity = FileTraits.Of(NumberOf(handle), kernel).Identity;
        Assert.True(_numbers.SetNonBlocking(kernel, NumberOf(handle), identity).IsSuccess);
    }

    private SafeFileHandle NewEventFd(int flags) => Own(SystemCalls.Instance.EventFd(0, flags).Value);

    private SafeFileHandle Own(int fd)
    {
        SafeFileHandle handle = FileLibC.ToHandle(fd);
        _handles.Add(handle);
        return handle;
    }

    private sealed class CountingKernel : SystemCalls
    {
        internal int Calls { get; private set; }

        internal int RefusesMarkOf { get; set; } = -1;

        protected internal override SyscallResult GetFlagsOnce(int fd)
        {
            Calls++;
            return base.GetFlagsOnce(fd);
        }

        protected internal override SyscallResult SetFlagsOnce(int fd, int flags)
        {
            Calls++;
            return base.SetFlagsOnce(fd, flags);
        }

        protected internal override SyscallResult GetSignalOnce(int fd)
        {
            Calls++;
            return base.GetSignalOnce(fd);
        }

        protected internal override SyscallResult SetSignalOnce(int fd, int signal)
        {
            Calls++;
            return fd == RefusesMarkOf ? SyscallResult.Failure(Errno.EPERM) : base.SetSignalOnce(fd, signal);
        }
    }

    private sealed class MarkingRefused : SystemCalls
    {
        protected internal override SyscallResult SetSignalOnce(int fd, int signal) => SyscallResult.Failure(Errno.EPERM);
    }
}
