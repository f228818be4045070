using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace KestrelNetpoll.Transport.Hosting;

/// <summary>
/// Sets the options from the application's configuration, section <c>Kestrel:Netpoll</c>. Registered before what code configures, which
/// therefore wins. A section beside this one whose name is nearly the same is refused, and so is what the sections of single endpoints
/// (<see cref="EndpointSections"/>) have in them that cannot be meant.
/// </summary>
internal sealed class NetpollTransportOptionsSetup(IConfiguration? configuration = null) : IConfigureOptions<NetpollTransportOptions>
{
    internal const string SectionName = "Kestrel:Netpoll";

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
            if (OptionsSection.IsMistyped(sibling.Key, section.Key))
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

        OptionsSection.OfTransport.Apply(section, options, failures);
        new EndpointSections(configuration).FindMistakes(failures);
        if (failures.Count != 0)
        {
            throw new OptionsValidationException(Options.DefaultName, typeof(NetpollTransportOptions), failures);
        }
    }
}
