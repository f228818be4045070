using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;

namespace KestrelNetpoll.Transport.Hosting;

/// <summary>
/// What the application's configuration says of single endpoints: <c>Kestrel:Endpoints:NAME:Netpoll</c>, options, or <c>false</c> for the
/// Sockets transport. A transport is not told the name of an endpoint, so that its section is found by its address. Read anew each time:
/// Kestrel binds endpoints anew when their configuration has changed. Thread-safe.
/// </summary>
internal sealed class EndpointSections(IConfiguration? configuration)
{
    private const string EndpointsName = "Kestrel:Endpoints";
    private const string DefaultsName = "Kestrel:EndpointDefaults";
    private const string Name = "Netpoll";
    private const string UrlKey = "Url";

    /// <summary>True: netpoll is to leave the endpoint to others.</summary>
    internal static bool IsOff(IConfigurationSection section) => bool.TryParse(section.Value, out bool on) && !on;

    /// <summary>The section of an endpoint that is to be bound; null if it has none.</summary>
    internal IConfigurationSection? Find(EndPoint endPoint)
    {
        if (configuration is null)
        {
            return null;
        }

        string[] addresses = AddressesOf(endPoint);
        foreach (IConfigurationSection endpoint in configuration.GetSection(EndpointsName).GetChildren())
        {
            IConfigurationSection section = endpoint.GetSection(Name);
            if (section.Exists() && addresses.Contains(AddressOf(endpoint)))
            {
                return section;
            }
        }

        return null;
    }

    /// <summary>Adds a sentence for each thing in these sections, and around them, that cannot be meant.</summary>
    internal void FindMistakes(List<string> failures)
    {
        if (configuration is null)
        {
            return;
        }

        string misplaced = ConfigurationPath.Combine(DefaultsName, Name);
        if (configuration.GetSection(misplaced).Exists())
        {
            failures.Add(
                $"The configuration has '{misplaced}', which nothing reads. What all endpoints have belongs into "
                + $"'{NetpollTransportOptionsSetup.SectionName}'.");
        }

        IConfigurationSection[] endpoints = [.. configuration.GetSection(EndpointsName).GetChildren()];
        foreach (IConfigurationSection endpoint in endpoints)
        {
            FindMistakes(endpoint, failures);
        }

        FindAmbiguities(endpoints, failures);
    }

    /// <summary>What the sections make of the transport's options, with their paths.</summary>
    internal IEnumerable<(string Path, NetpollTransportOptions Options)> ApplyTo(NetpollTransportOptions options)
    {
        foreach (IConfigurationSection endpoint in configuration?.GetSection(EndpointsName).GetChildren() ?? [])
        {
            IConfigurationSection section = endpoint.GetSection(Name);
            if (section.Exists())
            {
                NetpollTransportOptions own = options.Copy();
                OptionsSection.OfEndpoint.Apply(section, own, failures: []);
                yield return (section.Path, own);
            }
        }
    }

    private static void FindMistakes(IConfigurationSection endpoint, List<string> failures)
    {
        foreach (IConfigurationSection entry in endpoint.GetChildren())
        {
            if (OptionsSection.IsMistyped(entry.Key, Name))
            {
                failures.Add($"The configuration has '{entry.Path}', which nothing reads. Did you mean '{endpoint.Path}:{Name}'?");
            }
        }

        IConfigurationSection section = endpoint.GetSection(Name);
        if (!string.IsNullOrWhiteSpace(section.Value) && !bool.TryParse(section.Value, out _))
        {
            failures.Add(
                $"'{section.Path}' is '{section.Value}'; it must be a section of options, such as "
                + $"'{section.Path}:{nameof(NetpollTransportOptions.Backlog)}', or false, for Kestrel's Sockets transport.");
        }

        OptionsSection.OfEndpoint.Apply(section, new NetpollTransportOptions(), failures);
    }

    // With port 0, several endpoints can have the same address.
    private static void FindAmbiguities(IConfigurationSection[] endpoints, List<string> failures)
    {
        foreach (IGrouping<string?, IConfigurationSection> equal in endpoints.GroupBy(AddressOf))
        {
            if (equal.Key is null)
            {
                continue;
            }

            IConfigurationSection first = equal.First();
            HashSet<string> expected = ContentOf(first.GetSection(Name));
            foreach (IConfigurationSection other in equal.Skip(1))
            {
                if (!ContentOf(other.GetSection(Name)).SetEquals(expected))
                {
                    failures.Add(
                        $"'{first.Path}' and '{other.Path}' have the same address, by which '{Name}' sections are found; theirs differ. "
                        + "Give the endpoints the same options, or set them in code: UseNetpoll(options => ...).");
                }
            }
        }
    }

    private static HashSet<string> ContentOf(IConfigurationSection section) =>
    [
        section.Value ?? "",
        .. section.AsEnumerable(makePathsRelative: true).Select(static pair => $"{pair.Key.ToUpperInvariant()}={pair.Value}"),
    ];

    // As Kestrel understands it. Null: it does not, and says so itself, or it is none of ours.
    private static string? AddressOf(IConfigurationSection endpoint)
    {
        BindingAddress address;
        try
        {
            address = BindingAddress.Parse(endpoint[UrlKey] ?? "");
        }
        catch (FormatException)
        {
            return null;
        }

        return address.IsUnixPipe ? UnixAddress(address.UnixPipePath)
            : address.IsNamedPipe ? null
            : IPAddress.TryParse(address.Host, out IPAddress? ip) ? new IPEndPoint(ip, address.Port).ToString()
            : IsLocalhost(address.Host) ? LocalhostAddress(address.Port)
            : AnyAddress(address.Port);
    }

    // The ways in which it may have been written.
    private static string[] AddressesOf(EndPoint endPoint) => endPoint switch
    {
        IPEndPoint ip when ip.Address.Equals(IPAddress.Loopback) || ip.Address.Equals(IPAddress.IPv6Loopback) =>
            [ip.ToString(), LocalhostAddress(ip.Port)],
        IPEndPoint ip when ip.Address.Equals(IPAddress.Any) || ip.Address.Equals(IPAddress.IPv6Any) => [ip.ToString(), AnyAddress(ip.Port)],
        IPEndPoint ip => [ip.ToString()],
        UnixDomainSocketEndPoint unix => [UnixAddress(unix.ToString())],
        _ => [],
    };

    private static string UnixAddress(string path) => $"unix:{path}";

    private static string LocalhostAddress(int port) => $"localhost:{port}";

    private static string AnyAddress(int port) => $"*:{port}";

    private static bool IsLocalhost(string host) =>
        host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || host.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase);
}
