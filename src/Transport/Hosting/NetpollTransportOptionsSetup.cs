using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace KestrelNetpoll.Transport.Hosting;

/// <summary>
/// Sets the options from the application's configuration, section <c>Kestrel:Netpoll</c>. Registered before what code configures, which
/// therefore wins. A key that is no option is refused: it is a typing error, and what was meant would be missing without a word. So is a
/// section beside this one whose name is nearly the same.
/// </summary>
internal sealed class NetpollTransportOptionsSetup(IConfiguration? configuration = null) : IConfigureOptions<NetpollTransportOptions>
{
    internal const string SectionName = "Kestrel:Netpoll";

    // Nobody who writes it means anything else.
    private const string NameStem = "netpol";

    private static readonly string[] CodeOnly =
        [nameof(NetpollTransportOptions.CreateBoundListenSocket), nameof(NetpollTransportOptions.OnAccept)];

    /// <exception cref="OptionsValidationException">A value is not what it must be, or a key is no option; names them all.</exception>
    public void Configure(NetpollTransportOptions options)
    {
        if (configuration is null)
        {
            return;
        }

        IConfigurationSection section = configuration.GetSection(SectionName);
        List<string> failures = [];
        foreach (IConfigurationSection sibling in configuration.GetSection(ConfigurationPath.GetParentPath(section.Path)!).GetChildren())
        {
            if (IsMistyped(sibling.Key, section.Key))
            {
                failures.Add($"The configuration has '{sibling.Path}', which nothing reads. Did you mean '{section.Path}'?");
            }
        }

        if (!string.IsNullOrWhiteSpace(section.Value))
        {
            failures.Add(
                $"'{section.Path}' is '{section.Value}'; it must be a section of options, "
                + $"such as '{section.Path}:{nameof(options.WorkerCount)}'.");
        }

        foreach (IConfigurationSection entry in section.GetChildren())
        {
            if (Apply(entry, options) is { } failure)
            {
                failures.Add(failure);
            }
        }

        if (failures.Count != 0)
        {
            throw new OptionsValidationException(Options.DefaultName, typeof(NetpollTransportOptions), failures);
        }
    }

    private static bool IsMistyped(string key, string name) =>
        !string.Equals(key, name, StringComparison.OrdinalIgnoreCase)
        && (key.Contains(NameStem, StringComparison.OrdinalIgnoreCase) || NearestName.IsMistyped(key, name));

    private static string? Apply(IConfigurationSection entry, NetpollTransportOptions options)
    {
        ConfigurationKey? key = ConfigurationKey.All.FirstOrDefault(
            key => string.Equals(key.Name, entry.Key, StringComparison.OrdinalIgnoreCase));
        if (key is null)
        {
            return DescribeUnknown(entry);
        }

        if (entry.GetChildren().Any())
        {
            return $"'{entry.Path}' is a section; it must be a value.";
        }

        return key.Apply(options, entry.Value) is { } form ? $"'{entry.Path}' is '{entry.Value}'; it must be {form}." : null;
    }

    private static string DescribeUnknown(IConfigurationSection entry)
    {
        string? codeOnly = Array.Find(CodeOnly, name => string.Equals(entry.Key, name, StringComparison.OrdinalIgnoreCase));
        if (codeOnly is not null)
        {
            return $"'{entry.Path}' is a function, which only code can set: UseNetpollTransport(options => options.{codeOnly} = ...).";
        }

        IEnumerable<string> names = ConfigurationKey.All.Select(static key => key.Name);
        string suggestion = NearestName.Find(entry.Key, names) is { } nearest ? $" Did you mean '{nearest}'?" : "";
        return $"'{entry.Path}' is no option of the netpoll transport.{suggestion} The options are {string.Join(", ", names)}.";
    }
}
