using Microsoft.Extensions.Configuration;

namespace KestrelNetpoll.Transport.Hosting;

/// <summary>
/// A section of the configuration that has options in it. A key that is no option is refused: it is a typing error, and what was meant
/// would be missing without a word.
/// </summary>
internal sealed class OptionsSection
{
    // Nobody who writes it means anything else.
    private const string NameStem = "netpol";

    private static readonly string[] CodeOnly =
        [nameof(NetpollTransportOptions.CreateBoundListenSocket), nameof(NetpollTransportOptions.OnAccept)];

    private readonly IReadOnlyList<ConfigurationKey> _keys;

    // How code sets them, for messages, and whose they are.
    private readonly string _method;
    private readonly string _those;

    private OptionsSection(IReadOnlyList<ConfigurationKey> keys, string method, string those) =>
        (_keys, _method, _those) = (keys, method, those);

    /// <summary>The one for all endpoints and the engine.</summary>
    internal static OptionsSection OfTransport { get; } = new(ConfigurationKey.All, "UseNetpollTransport", "The options");

    /// <summary>One endpoint's.</summary>
    internal static OptionsSection OfEndpoint { get; } = new(ConfigurationKey.OfEndpoints, "UseNetpoll", "The options of an endpoint");

    /// <summary>Is it another name for what has this one, or this one mistyped? Not if only upper and lower case differ.</summary>
    internal static bool IsMistyped(string key, string name) =>
        !string.Equals(key, name, StringComparison.OrdinalIgnoreCase)
        && (key.Contains(NameStem, StringComparison.OrdinalIgnoreCase) || NearestName.IsMistyped(key, name));

    /// <summary>Sets what the section says.</summary>
    /// <param name="section">Its own value does not matter here.</param>
    /// <param name="options">Of these.</param>
    /// <param name="failures">Gets a sentence for each value that is not what it must be, and for each key that is no option.</param>
    internal void Apply(IConfigurationSection section, NetpollTransportOptions options, List<string> failures)
    {
        foreach (IConfigurationSection entry in section.GetChildren())
        {
            if (Apply(entry, options) is { } failure)
            {
                failures.Add(failure);
            }
        }
    }

    private string? Apply(IConfigurationSection entry, NetpollTransportOptions options)
    {
        if (Find(_keys, entry) is not { } key)
        {
            return DescribeUnknown(entry);
        }

        if (entry.GetChildren().Any())
        {
            return $"'{entry.Path}' is a section; it must be a value.";
        }

        return key.Apply(options, entry.Value) is { } form ? $"'{entry.Path}' is '{entry.Value}'; it must be {form}." : null;
    }

    private string DescribeUnknown(IConfigurationSection entry)
    {
        string? codeOnly = Array.Find(CodeOnly, name => string.Equals(entry.Key, name, StringComparison.OrdinalIgnoreCase));
        if (codeOnly is not null)
        {
            return $"'{entry.Path}' is a function, which only code can set: {_method}(options => options.{codeOnly} = ...).";
        }

        if (Find(ConfigurationKey.All, entry) is { } shared)
        {
            return $"'{entry.Path}' is an option of the whole transport, which no endpoint has for itself: "
                + $"'{NetpollTransportOptionsSetup.SectionName}:{shared.Name}'.";
        }

        IEnumerable<string> names = _keys.Select(static key => key.Name);
        string suggestion = NearestName.Find(entry.Key, names) is { } nearest ? $" Did you mean '{nearest}'?" : "";
        return $"'{entry.Path}' is no option of the netpoll transport.{suggestion} {_those} are {string.Join(", ", names)}.";
    }

    private static ConfigurationKey? Find(IReadOnlyList<ConfigurationKey> keys, IConfigurationSection entry) =>
        keys.FirstOrDefault(key => string.Equals(key.Name, entry.Key, StringComparison.OrdinalIgnoreCase));
}
