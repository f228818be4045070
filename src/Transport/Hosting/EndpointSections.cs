using System.Net;
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

    /// <summary>True: netpoll is to serve the endpoint. An empty section says nothing.</summary>
    internal static bool IsOn(IConfigurationSection section) =>
        !IsOff(section) && (!string.IsNullOrWhiteSpace(section.Value) || section.GetChildren().Any());

    /// <summary>
    /// The section of an endpoint that is to be bound; null if it has none. Any of those that have its address: they are the same, or a
    /// mistake.
    /// </summary>
    internal IConfigurationSection? Find(EndPoint endPoint) =>
        FindEndpoints(endPoint).Select(static endpoint => endpoint.GetSection(Name)).FirstOrDefault(static section => section.Exists());

    /// <summary>Adds a sentence for each thing in these sections, and around them, that cannot be meant.</summary>
    internal void FindMistakes(List<string> failures) => FindMistakes([.. Endpoints()], failures);

    /// <summary>The same for one that is to be bound: the configuration may have changed since the host has started.</summary>
    internal void FindMistakes(EndPoint endPoint, List<string> failures) => FindMistakes([.. FindEndpoints(endPoint)], failures);

    /// <summary>What the sections make of the transport's options, with their paths.</summary>
    internal IEnumerable<(string Path, NetpollTransportOptions Options)> ApplyTo(NetpollTransportOptions options)
    {
        foreach (IConfigurationSection endpoint in Endpoints())
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

    // With port 0, and where ports are shared, several endpoints can have one address: each would get the section of any.
    private static void FindAmbiguities(IConfigurationSection[] endpoints, List<string> failures)
    {
        if (!endpoints.Any(static endpoint => endpoint.GetSection(Name).Exists()))
        {
            return;
        }

        string[][] addresses = [.. endpoints.Select(AddressesOf)];
        HashSet<string>[] contents = [.. endpoints.Select(static endpoint => ContentOf(endpoint.GetSection(Name)))];
        for (int i = 1; i < endpoints.Length; i++)
        {
            int other = Enumerable.Range(0, i).FirstOrDefault(
                earlier => addresses[earlier].Intersect(addresses[i]).Any() && !contents[earlier].SetEquals(contents[i]), i);
            if (other != i)
            {
                failures.Add(
                    $"'{endpoints[other].Path}' and '{endpoints[i].Path}' can have the same address, by which '{Name}' sections are found; "
                    + "theirs differ. Give the endpoints the same options, or set them in code: UseNetpoll(options => ...).");
            }
        }
    }

    private static HashSet<string> ContentOf(IConfigurationSection section) =>
    [
        section.Value ?? "",
        .. section.AsEnumerable(makePathsRelative: true).Select(static pair => $"{pair.Key.ToUpperInvariant()}={pair.Value}"),
    ];

    private static string[] AddressesOf(IConfigurationSection endpoint) => EndpointAddresses.OfUrl(endpoint[UrlKey]);

    private void FindMistakes(IConfigurationSection[] endpoints, List<string> failures)
    {
        string misplaced = ConfigurationPath.Combine(DefaultsName, Name);
        if (configuration?.GetSection(misplaced).Exists() == true)
        {
            failures.Add(
                $"The configuration has '{misplaced}', which nothing reads. What all endpoints have belongs into "
                + $"'{NetpollTransportOptionsSetup.SectionName}'.");
        }

        foreach (IConfigurationSection endpoint in endpoints)
        {
            FindMistakes(endpoint, failures);
        }

        FindAmbiguities(endpoints, failures);
    }

    private IEnumerable<IConfigurationSection> Endpoints() => configuration?.GetSection(EndpointsName).GetChildren() ?? [];

    private IEnumerable<IConfigurationSection> FindEndpoints(EndPoint endPoint) =>
        EndpointAddresses.Of(endPoint) is { } address ? Endpoints().Where(endpoint => AddressesOf(endpoint).Contains(address)) : [];
}
