using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Tests.Interop;

/// <summary>Closes at the end what a test opened, also when an assertion failed in between.</summary>
internal sealed class OwnedDescriptors : IDisposable
{
    private readonly List<int> _descriptors = [];

    internal int Own(SyscallResult opened)
    {
        Assert.True(opened.IsSuccess, opened.ToString());
        return Own(opened.Value);
    }

    internal int Own(int descriptor)
    {
        _descriptors.Add(descriptor);
        return descriptor;
    }

    /// <summary>Closes one early, and forgets it: from here on the number may be another test's.</summary>
    internal SyscallResult Close(int descriptor)
    {
        Assert.True(_descriptors.Remove(descriptor), $"{descriptor} is not open.");
        return SystemCalls.Instance.Close(descriptor);
    }

    public void Dispose()
    {
        foreach (int descriptor in _descriptors)
        {
            // Not to be tolerated: a number that was closed before may be another test's by now, which then fails for no reason.
            Assert.True(SystemCalls.Instance.Close(descriptor).IsSuccess, $"{descriptor} was closed twice.");
        }
    }
}
