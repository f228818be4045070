using KestrelNetpoll.Native;

namespace FifoTun;

/// <summary>Two FIFOs, for this user alone, which go with this object.</summary>
internal sealed class FifoPair : IDisposable
{
    private const UnixFileMode Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly string _folder;
    private readonly bool _ownsFolder;

    private FifoPair(string folder, bool ownsFolder)
    {
        _folder = folder;
        _ownsFolder = ownsFolder;
    }

    internal string Input => Path.Combine(_folder, "in");

    internal string Output => Path.Combine(_folder, "out");

    /// <param name="folder">One that is there; null: a new one.</param>
    internal static FifoPair Create(string? folder)
    {
        var pair = new FifoPair(folder ?? Directory.CreateTempSubdirectory("fifo-tun-").FullName, folder is null);
        List<string> made = [];
        try
        {
            foreach (string path in (string[])[pair.Input, pair.Output])
            {
                NetpollFile.CreateFifo(path, Mode);
                made.Add(path);
            }

            return pair;
        }
        catch
        {
            // What was there before is somebody else's.
            pair.Delete(made);
            throw;
        }
    }

    public void Dispose() => Delete([Input, Output]);

    private void Delete(List<string> fifos)
    {
        fifos.ForEach(File.Delete);
        if (_ownsFolder)
        {
            Directory.Delete(_folder);
        }
    }
}
