namespace KestrelNetpoll.Native.Tests.Interop;

/// <summary>A directory of the test's own, gone with everything in it at the end.</summary>
internal sealed class TemporaryDirectory : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("netpoll-test-");

    internal string PathOf(string name) => Path.Combine(_directory.FullName, name);

    public void Dispose() => _directory.Delete(recursive: true);
}
