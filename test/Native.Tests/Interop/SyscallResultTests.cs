using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Tests.Interop;

public sealed class SyscallResultTests
{
    [Fact]
    public void A_value_is_a_success()
    {
        SyscallResult result = SyscallResult.Success(5_000_000_000);

        Assert.True(result.IsSuccess);
        Assert.False(result.IsError);
        Assert.False(result.WouldBlock);
        Assert.Equal(5_000_000_000, result.LongValue);
        Assert.Equal(Errno.Success, result.Errno);
        Assert.Equal(42, SyscallResult.Success(42).Value);
    }

    [Fact]
    public void Every_errno_survives()
    {
        foreach (Errno errno in Enum.GetValues<Errno>().Where(errno => errno != Errno.Success))
        {
            SyscallResult result = SyscallResult.Failure(errno);

            Assert.True(result.IsError);
            Assert.False(result.IsSuccess);
            Assert.Equal(errno, result.Errno);
            Assert.Equal(errno == Errno.EAGAIN, result.WouldBlock);
            Assert.Equal(errno == Errno.EINTR, result.IsInterrupted);
        }
    }
}
