using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace KestrelNetpoll.Perf.Compare.Model;

/// <summary>The result as a file.</summary>
internal static class ResultJson
{
    private static readonly JsonSerializerOptions Options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        WriteIndented = true,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    };

    internal static string Write(RunResult result) => JsonSerializer.Serialize(result, Options) + "\n";

    /// <exception cref="InvalidDataException">The text is not a result, or of another version.</exception>
    internal static RunResult Read(string json)
    {
        try
        {
            RunResult? result = JsonSerializer.Deserialize<RunResult>(json, Options);
            return result?.Version == RunResult.CurrentVersion
                ? result
                : throw new InvalidDataException(
                    $"The result has version {result?.Version}; this program reads {RunResult.CurrentVersion}.");
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"This is not a result: {e.Message}", e);
        }
    }
}
