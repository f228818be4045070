using System.Buffers.Binary;
using System.Text;

namespace KestrelNetpoll.Perf.Compare.Scenarios;

/// <summary>What a call of <c>Apps/Protos/greeter.proto</c> looks like on HTTP/2, so that any load generator can make it.</summary>
internal static class GrpcCall
{
    internal const string UnaryPath = "/netpoll.Greeter/Greet";
    internal const string StreamPath = "/netpoll.Greeter/GreetAll";
    internal const int StreamedReplies = 100;

    // Before each message: whether it is compressed, and its length.
    private const int PrefixSize = 5;
    private const byte NameField = (1 << 3) | 2;
    private const byte CountField = 2 << 3;

    private static readonly byte[] Name = "World"u8.ToArray();

    internal static readonly IReadOnlyDictionary<string, string> Headers =
        new Dictionary<string, string> { ["Content-Type"] = "application/grpc", ["TE"] = "trailers" };

    /// <summary>Gets the size of one answer.</summary>
    internal static int ReplyBytes => PrefixSize + 2 + Encoding.UTF8.GetByteCount("Hello, World");

    /// <param name="replies">How many are asked for; less than 128, so that the number is one byte.</param>
    internal static byte[] CreateBody(byte replies)
    {
        byte[] message = [NameField, (byte)Name.Length, .. Name, CountField, replies];
        byte[] prefix = new byte[PrefixSize];
        BinaryPrimitives.WriteInt32BigEndian(prefix.AsSpan(1), message.Length);
        return [.. prefix, .. message];
    }
}
