using System.Globalization;

namespace KestrelNetpoll.Transport.Hosting;

/// <summary>
/// An option that can be set in the configuration: from its text to its value. By hand rather than by the framework's binder, whose
/// messages speak of its own types instead of what may be written.
/// </summary>
internal sealed class ConfigurationKey
{
    private const int Octal = 8;
    private const int MaxOctalDigits = 10;

    private readonly Func<NetpollTransportOptions, string, bool> _trySet;
    private readonly Action<NetpollTransportOptions>? _clear;
    private readonly Func<string, string> _form;

    private ConfigurationKey(
        string name, Func<string, string> form, Func<NetpollTransportOptions, string, bool> trySet, Action<NetpollTransportOptions>? clear)
    {
        Name = name;
        _form = form;
        _trySet = trySet;
        _clear = clear;
    }

    private delegate bool Parser<T>(string text, out T value);

    /// <summary>All of them, in the order of their names.</summary>
    internal static IReadOnlyList<ConfigurationKey> All { get; } =
    [
        Named<AcceptStrategy>(nameof(NetpollTransportOptions.AcceptStrategy), static (options, value) => options.AcceptStrategy = value),
        Named<ApplicationScheduling>(
            nameof(NetpollTransportOptions.ApplicationScheduling), static (options, value) => options.ApplicationScheduling = value),
        Named<NetpollBackend>(nameof(NetpollTransportOptions.Backend), static (options, value) => options.Backend = value),
        Number(nameof(NetpollTransportOptions.Backlog), static (options, value) => options.Backlog = value),
        Text(nameof(NetpollTransportOptions.BindToDevice), static (options, value) => options.BindToDevice = value),
        OptionalTime(
            nameof(NetpollTransportOptions.BlockedTurnThreshold), static (options, value) => options.BlockedTurnThreshold = value),
        OptionalTime(nameof(NetpollTransportOptions.DeferAccept), static (options, value) => options.DeferAccept = value),
        OptionalNumber(nameof(NetpollTransportOptions.FastOpen), static (options, value) => options.FastOpen = value),
        OptionalTime(nameof(NetpollTransportOptions.FirstByteTimeout), static (options, value) => options.FirstByteTimeout = value),
        Flag(nameof(NetpollTransportOptions.FreeBind), static (options, value) => options.FreeBind = value),
        Time(nameof(NetpollTransportOptions.HandOverGracePeriod), static (options, value) => options.HandOverGracePeriod = value),
        Text(nameof(NetpollTransportOptions.HandOverPath), static (options, value) => options.HandOverPath = value),
        OptionalBits(nameof(NetpollTransportOptions.Mark), static (options, value) => options.Mark = value),
        OptionalTime(nameof(NetpollTransportOptions.MaxConnectionAge), static (options, value) => options.MaxConnectionAge = value),
        OptionalNumber(
            nameof(NetpollTransportOptions.MaxConnectionsPerAddress), static (options, value) => options.MaxConnectionsPerAddress = value),
        OptionalSize(nameof(NetpollTransportOptions.MaxReadBufferSize), static (options, value) => options.MaxReadBufferSize = value),
        Number(nameof(NetpollTransportOptions.MaxWorkerCount), static (options, value) => options.MaxWorkerCount = value),
        OptionalSize(nameof(NetpollTransportOptions.MaxWriteBufferSize), static (options, value) => options.MaxWriteBufferSize = value),
        Flag(nameof(NetpollTransportOptions.MultipathTcp), static (options, value) => options.MultipathTcp = value),
        Flag(nameof(NetpollTransportOptions.NameBlockedRequests), static (options, value) => options.NameBlockedRequests = value),
        Flag(nameof(NetpollTransportOptions.NoDelay), static (options, value) => options.NoDelay = value),
        Flag(nameof(NetpollTransportOptions.NotifySystemd), static (options, value) => options.NotifySystemd = value),
        OptionalTime(nameof(NetpollTransportOptions.ReadIdleTimeout), static (options, value) => options.ReadIdleTimeout = value),
        OptionalNumber(nameof(NetpollTransportOptions.ReceiveBufferSize), static (options, value) => options.ReceiveBufferSize = value),
        Flag(nameof(NetpollTransportOptions.ReplaceStaleUnixSocket), static (options, value) => options.ReplaceStaleUnixSocket = value),
        Flag(nameof(NetpollTransportOptions.ReusePort), static (options, value) => options.ReusePort = value),
        OptionalNumber(nameof(NetpollTransportOptions.SendBufferSize), static (options, value) => options.SendBufferSize = value),
        OptionalTime(nameof(NetpollTransportOptions.TcpKeepAliveInterval), static (options, value) => options.TcpKeepAliveInterval = value),
        OptionalNumber(
            nameof(NetpollTransportOptions.TcpKeepAliveRetryCount), static (options, value) => options.TcpKeepAliveRetryCount = value),
        OptionalTime(nameof(NetpollTransportOptions.TcpKeepAliveTime), static (options, value) => options.TcpKeepAliveTime = value),
        OptionalBits(
            nameof(NetpollTransportOptions.TypeOfService),
            static (options, value) => options.TypeOfService = value is { } bits ? (int)Math.Min(bits, int.MaxValue) : null),
        Optional<UnixFileMode>(
            nameof(NetpollTransportOptions.UnixSocketMode),
            static _ => $"an octal number such as 660, or some of {Names<UnixFileMode>(", ")}, with commas between them",
            TryParseMode,
            static (options, value) => options.UnixSocketMode = value),
        OptionalTime(nameof(NetpollTransportOptions.UserTimeout), static (options, value) => options.UserTimeout = value),
        Flag(
            nameof(NetpollTransportOptions.WaitForDataBeforeAllocatingBuffer),
            static (options, value) => options.WaitForDataBeforeAllocatingBuffer = value),
        Number(nameof(NetpollTransportOptions.WorkerCount), static (options, value) => options.WorkerCount = value),
        OptionalNumber(nameof(NetpollTransportOptions.WorkerGroupCount), static (options, value) => options.WorkerGroupCount = value),
        OptionalTime(nameof(NetpollTransportOptions.WriteStallTimeout), static (options, value) => options.WriteStallTimeout = value),
    ];

    /// <summary>Those that an endpoint can have for itself.</summary>
    internal static IReadOnlyList<ConfigurationKey> OfEndpoints { get; } =
        [.. All.Where(static key => !EngineOptions.Names.Contains(key.Name))];

    internal string Name { get; }

    /// <summary>Sets the option.</summary>
    /// <param name="options">Of these.</param>
    /// <param name="text">As it is written; null, or for what can be null also nothing, means null, and no change to what cannot.</param>
    /// <returns>What it must be, if it is not; otherwise null.</returns>
    internal string? Apply(NetpollTransportOptions options, string? text)
    {
        if (text is null || (_clear is not null && string.IsNullOrWhiteSpace(text)))
        {
            _clear?.Invoke(options);
            return null;
        }

        return _trySet(options, text) ? null : _form(text);
    }

    private static ConfigurationKey Number(string name, Action<NetpollTransportOptions, int> set) =>
        Required(name, static _ => "a whole number", TryParseNumber, set);

    private static ConfigurationKey OptionalNumber(string name, Action<NetpollTransportOptions, int?> set) =>
        Optional<int>(name, static _ => "a whole number", TryParseNumber, set);

    private static ConfigurationKey OptionalSize(string name, Action<NetpollTransportOptions, long?> set) =>
        Optional<long>(name, static _ => "a whole number of bytes", TryParseSize, set);

    private static ConfigurationKey OptionalBits(string name, Action<NetpollTransportOptions, uint?> set) =>
        Optional<uint>(name, static _ => "a whole number such as 184 or 0xB8", TryParseBits, set);

    private static ConfigurationKey Text(string name, Action<NetpollTransportOptions, string?> set) =>
        new(
            name,
            static _ => "a text",
            (options, text) =>
            {
                set(options, text);
                return true;
            },
            clear: options => set(options, null));

    private static ConfigurationKey Flag(string name, Action<NetpollTransportOptions, bool> set) =>
        Required(name, static _ => "true or false", bool.TryParse, set);

    private static ConfigurationKey Named<T>(string name, Action<NetpollTransportOptions, T> set)
        where T : struct, Enum => Required(name, static _ => Names<T>(" or "), TryParseName, set);

    private static ConfigurationKey Time(string name, Action<NetpollTransportOptions, TimeSpan> set) =>
        Required(name, FormOfTime, TryParseTime, set);

    private static ConfigurationKey OptionalTime(string name, Action<NetpollTransportOptions, TimeSpan?> set) =>
        Optional<TimeSpan>(name, FormOfTime, TryParseTime, set);

    private static ConfigurationKey Required<T>(
        string name, Func<string, string> form, Parser<T> parse, Action<NetpollTransportOptions, T> set) =>
        new(name, form, (options, text) => TrySet(options, text, parse, set), clear: null);

    private static ConfigurationKey Optional<T>(
        string name, Func<string, string> form, Parser<T> parse, Action<NetpollTransportOptions, T?> set)
        where T : struct =>
        new(
            name,
            form,
            (options, text) => TrySet(options, text, parse, (given, value) => set(given, value)),
            clear: options => set(options, null));

    private static bool TrySet<T>(NetpollTransportOptions options, string text, Parser<T> parse, Action<NetpollTransportOptions, T> set)
    {
        if (!parse(text, out T value))
        {
            return false;
        }

        set(options, value);
        return true;
    }

    private static bool TryParseNumber(string text, out int value) =>
        int.TryParse(text, NumberStyles.Integer, CultureInfo.InvariantCulture, out value);

    private static bool TryParseSize(string text, out long value) =>
        long.TryParse(text, NumberStyles.Integer, CultureInfo.InvariantCulture, out value);

    private static bool TryParseBits(string text, out uint value) =>
        text.Trim().StartsWith("0x", StringComparison.OrdinalIgnoreCase)
            ? uint.TryParse(text.Trim()[2..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value)
            : uint.TryParse(text, NumberStyles.Integer, CultureInfo.InvariantCulture, out value);

    private static bool TryParseName<T>(string text, out T value)
        where T : struct, Enum => Enum.TryParse(text, ignoreCase: true, out value) && Enum.IsDefined(value);

    /// <summary>A lone number would be taken for days, which nobody means here.</summary>
    private static bool TryParseTime(string text, out TimeSpan value)
    {
        value = default;
        return text.Contains(':') && TimeSpan.TryParse(text, CultureInfo.InvariantCulture, out value);
    }

    private static string FormOfTime(string text)
    {
        const string Form = "a time as hours:minutes:seconds";
        TimeSpan example = double.TryParse(text, CultureInfo.InvariantCulture, out double seconds)
            && Math.Abs(seconds) < TimeSpan.MaxValue.TotalSeconds
            ? TimeSpan.FromSeconds(seconds)
            : TimeSpan.FromSeconds(seconds = 5);
        return string.Create(CultureInfo.InvariantCulture, $"{Form}; {seconds} seconds are {example}");
    }

    /// <summary>Digits would be taken for a decimal number, which no mode is.</summary>
    private static bool TryParseMode(string text, out UnixFileMode value)
    {
        string trimmed = text.Trim();
        if (!trimmed.All(char.IsAsciiDigit))
        {
            return Enum.TryParse(trimmed, ignoreCase: true, out value);
        }

        value = default;
        if (trimmed.Length > MaxOctalDigits || trimmed.Any(static digit => digit > '7'))
        {
            return false;
        }

        value = (UnixFileMode)Convert.ToInt32(trimmed, Octal);
        return true;
    }

    private static string Names<T>(string separator)
        where T : struct, Enum => string.Join(separator, Enum.GetNames<T>());
}
