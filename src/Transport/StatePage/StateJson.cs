using System.Text.Json.Serialization;

namespace KestrelNetpoll.Transport.StatePage;

/// <summary>
/// How a report becomes JSON, without reflection. The encoder is the default one: what a peer has made up, such as a path, has no
/// character in it that means something in HTML.
/// </summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(StateReport))]
internal sealed partial class StateJson : JsonSerializerContext;
