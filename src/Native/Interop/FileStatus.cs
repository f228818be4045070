namespace KestrelNetpoll.Native.Interop;

/// <summary>What stat tells: which file it is, of which type, and for a device which one.</summary>
internal readonly record struct FileStatus(FileIdentity Identity, uint DeviceMajor, uint DeviceMinor)
{
    /// <summary>S_IFREG and so on; 0 when the kernel would not say.</summary>
    internal int Type => Identity.Type;
}
