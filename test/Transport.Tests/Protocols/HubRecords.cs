using System.Text;
using System.Text.Json;

namespace KestrelNetpoll.Transport.Tests.Protocols;

/// <summary>The records of SignalR's JSON protocol: JSON documents, each ended by a record separator, cut anywhere on their way.</summary>
internal sealed class HubRecords
{
    internal const string Handshake = """{"protocol":"json","version":1}""";

    private const char Separator = '\u001e';
    private const int PingType = 6;

    private readonly StringBuilder _pending = new();
    private readonly Queue<JsonElement> _records = new();

    internal static byte[] Encode(params string[] records) => Encoding.UTF8.GetBytes(string.Concat(records.Select(static record => record + Separator)));

    internal static string Invocation(string id, string target, params object[] arguments) =>
        JsonSerializer.Serialize(new { type = 1, invocationId = id, target, arguments });

    internal void Add(byte[] received)
    {
        foreach (char c in Encoding.UTF8.GetString(received))
        {
            if (c != Separator)
            {
                _pending.Append(c);
                continue;
            }

            JsonElement record = JsonSerializer.Deserialize<JsonElement>(_pending.ToString());
            _pending.Clear();
            if (TypeOf(record) != PingType)
            {
                _records.Enqueue(record);
            }
        }
    }

    internal bool TryTake(out JsonElement record) => _records.TryDequeue(out record);

    /// <summary>0 for the answer to the handshake, which has none.</summary>
    internal static int TypeOf(JsonElement record) => record.TryGetProperty("type", out JsonElement type) ? type.GetInt32() : 0;
}
