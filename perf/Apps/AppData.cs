using System.Text;

namespace KestrelNetpoll.Perf.Apps;

/// <summary>
/// The files that are served, made at start in a directory of this process's own: <c>--data DIR</c> says where, or they are temporary.
/// Text, so that it can be compressed; always the same.
/// </summary>
internal sealed class AppData : IDisposable
{
    internal const string Option = "data";

    private const int SmallSize = 10_000;
    private const int LargeSize = 1_000_000;
    private const int TextSize = 1_000;
    private const int Seed = 1;

    private static readonly string[] Words =
        ["epoll", "turn", "worker", "flush", "read", "queue", "edge", "socket", "poller", "deadline", "descriptor", "park", "wake", "hand"];

    internal AppData(string[] args)
    {
        int option = Array.IndexOf(args, "--" + Option);
        string parent = option >= 0 && option + 1 < args.Length ? args[option + 1] : Path.GetTempPath();
        Root = Path.Combine(parent, "apps-" + Path.GetRandomFileName());
        Directory.CreateDirectory(WebRoot);
        File.WriteAllText(Path.Combine(WebRoot, "10k.txt"), MakeText(SmallSize));
        File.WriteAllText(Path.Combine(WebRoot, "1m.txt"), MakeText(LargeSize));
        File.WriteAllText(TextFile, MakeText(TextSize));
    }

    internal string Root { get; }

    internal string WebRoot => Path.Combine(Root, "wwwroot");

    /// <summary>Gets a file that an application reads, as it would a template or a document.</summary>
    internal string TextFile => Path.Combine(Root, "text.txt");

    public void Dispose() => Directory.Delete(Root, recursive: true);

    private static string MakeText(int length)
    {
        var text = new StringBuilder(length);
#pragma warning disable CA5394 // It has to be the same each time, and nothing is secret.
        var random = new Random(Seed);
        while (text.Length < length)
        {
            text.Append(Words[random.Next(Words.Length)]).Append(random.Next(SmallSize)).Append(' ');
        }
#pragma warning restore CA5394

        text.Length = length;
        return text.ToString();
    }
}
