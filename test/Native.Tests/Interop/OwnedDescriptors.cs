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

    public void Dispose()
    {
        foreach (int descriptor in _descriptors)
        {
            SystemCalls.Instance.Close(descriptor);
        }
    }
}
