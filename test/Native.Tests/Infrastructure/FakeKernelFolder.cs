using KestrelNetpoll.Native.Interop;

namespace KestrelNetpoll.Native.Tests.Infrastructure;

/// <summary>A folder with what the kernel would have in <c>/proc</c> and in control groups. Gone at the end.</summary>
internal sealed class FakeKernelFolder : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("netpoll-test-");

    internal FakeKernelFolder(SystemCalls? systemCalls = null) =>
        Files = new KernelFiles(systemCalls ?? SystemCalls.Instance, _folder.FullName) { Clock = () => Now };

    internal KernelFiles Files { get; }

    /// <summary>On a clock that does not move by itself.</summary>
    internal long Now { get; set; } = 1000;

    internal void Write(string path, string text)
    {
        string file = _folder.FullName + path;
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, text);
    }

    internal void Delete(string path) => File.Delete(_folder.FullName + path);

    public void Dispose() => _folder.Delete(recursive: true);
}
