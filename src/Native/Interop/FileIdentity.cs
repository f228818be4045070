namespace KestrelNetpoll.Native.Interop;

/// <summary>
/// Which file it is, whatever it is called, and of which type (S_IFMT): equal for two names of one file, different for its successor at
/// the same path.
/// </summary>
internal readonly record struct FileIdentity(uint DeviceMajor, uint DeviceMinor, ulong Inode, int Type)
{
    internal bool IsSocket => Type == LibC.S_IFSOCK;
}
