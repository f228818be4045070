using System.Net;
using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace KestrelNetpoll.Transport.Hosting;

/// <summary>
/// Who serves which endpoint, and with which options: what code has said of a <see cref="ListenOptions"/>, and what the configuration says
/// of an address. Thread-safe.
/// </summary>
/// <remarks>
/// Kestrel asks a transport with nothing but an <see cref="EndPoint"/>, which tells little: several endpoints may have port 0; localhost
/// is bound as two endpoints, which are made for that; a configuration that has changed makes new ones. But Kestrel builds the pipeline of
/// an endpoint's connections right before it asks the transports, in the same flow of execution. So each endpoint of which something has
/// been said gets a middleware that adds nothing to the pipeline: its being built says whose turn it is. The flow ends with the endpoint,
/// so that the next one does not inherit it.
/// </remarks>
internal sealed class EndpointTable(IConfiguration? configuration = null)
{
    private readonly EndpointSections _sections = new(configuration);
    private readonly ConditionalWeakTable<ListenOptions, EndpointChoice> _choices = [];

    // Of the endpoint that is being bound in this flow of execution.
    private readonly AsyncLocal<EndpointChoice?> _current = new();

    /// <summary>What code says of the endpoint goes there.</summary>
    internal EndpointChoice ChoiceOf(ListenOptions listenOptions) => _choices.GetValue(listenOptions, Announce);

    /// <summary>Has netpoll been told not to serve it? What is wrong in the configuration is told by <see cref="OptionsOf"/>.</summary>
    internal bool IsLeftToOthers(EndPoint endPoint) =>
        FindChoice(endPoint)?.UsesNetpoll is { } usesNetpoll
            ? !usesNetpoll
            : _sections.Find(endPoint) is { } section && EndpointSections.IsOff(section);

    /// <summary>The options of an endpoint that is to be bound: the transport's, if it has none of its own.</summary>
    /// <exception cref="OptionsValidationException">They are wrong; names all that is.</exception>
    internal NetpollTransportOptions OptionsOf(EndPoint endPoint, NetpollTransportOptions shared)
    {
        EndpointChoice? choice = FindChoice(endPoint);
        IConfigurationSection? section = _sections.Find(endPoint);
        if (section is null && choice is not { HasOptions: true })
        {
            return shared;
        }

        NetpollTransportOptions own = shared.Copy();
        List<string> failures = [];
        if (section is not null)
        {
            OptionsSection.OfEndpoint.Apply(section, own, failures);
        }

        choice?.Configure(own);
        failures.AddRange(
            NetpollTransportOptionsValidator.FindMistakes(own)
                .Select(mistake => $"Endpoint {endPoint}: {nameof(NetpollEndpointOptions)}.{mistake}"));
        return failures.Count == 0
            ? own
            : throw new OptionsValidationException(Options.DefaultName, typeof(NetpollEndpointOptions), failures);
    }

    private EndpointChoice Announce(ListenOptions listenOptions)
    {
        var choice = new EndpointChoice(listenOptions);
        listenOptions.Use(next =>
        {
            _current.Value = choice;
            return next;
        });
        return choice;
    }

    // Whoever has built a pipeline for another reason has not announced this one.
    private EndpointChoice? FindChoice(EndPoint endPoint) => _current.Value is { } choice && choice.IsFor(endPoint) ? choice : null;
}
