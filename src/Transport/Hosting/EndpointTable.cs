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

    /// <summary>What code says of endpoints that Kestrel has bound, while nobody has asked for it.</summary>
    internal EndpointChoice[] FindMissed() => [.. _choices.Select(static pair => pair.Value).Where(static choice => choice.IsMissed)];

    /// <summary>
    /// Has netpoll been told not to serve it? Not while the configuration has a mistake there, which <see cref="OptionsOf"/> tells.
    /// </summary>
    /// <param name="endPoint">It is to be bound.</param>
    /// <param name="overruled">The section that says the contrary, if code wins over one.</param>
    internal bool IsLeftToOthers(EndPoint endPoint, out string? overruled)
    {
        overruled = null;
        EndpointChoice? choice = FindChoice(endPoint);
        List<string> failures = [];
        _sections.FindMistakes(endPoint, failures);
        if (failures.Count != 0)
        {
            return false;
        }

        IConfigurationSection? section = _sections.Find(endPoint);
        if (choice?.UsesNetpoll is not { } usesNetpoll)
        {
            return section is not null && EndpointSections.IsOff(section);
        }

        if (section is not null && (usesNetpoll ? EndpointSections.IsOff(section) : EndpointSections.IsOn(section)))
        {
            overruled = section.Path;
        }

        return !usesNetpoll;
    }

    /// <summary>The options of an endpoint that is to be bound: the transport's, if it has none of its own.</summary>
    /// <exception cref="OptionsValidationException">They are wrong; names all that is.</exception>
    /// <exception cref="InvalidOperationException">Code that sets them has thrown.</exception>
    internal NetpollTransportOptions OptionsOf(EndPoint endPoint, NetpollTransportOptions shared)
    {
        EndpointChoice? choice = FindChoice(endPoint);
        List<string> failures = [];
        _sections.FindMistakes(endPoint, failures);
        IConfigurationSection? section = _sections.Find(endPoint);
        if (failures.Count == 0 && section is null && choice is not { HasOptions: true })
        {
            return shared;
        }

        NetpollTransportOptions own = shared.Copy();
        if (section is not null)
        {
            // What it has wrong is known by now.
            OptionsSection.OfEndpoint.Apply(section, own, failures: []);
        }

        choice?.Configure(own);
        string name = choice?.Name ?? endPoint.ToString()!;
        failures.AddRange(EngineOptions.FindChanged(own, shared).Select(
            option => $"Endpoint {name}: {option} is an option of the whole transport, which no endpoint has for itself."));
        failures.AddRange(
            NetpollTransportOptionsValidator.FindMistakes(own)
                .Where(static mistake => !EngineOptions.Names.Any(option => mistake.StartsWith($"{option} ", StringComparison.Ordinal)))
                .Select(mistake => $"Endpoint {name}: {nameof(NetpollEndpointOptions)}.{mistake}"));
        return failures.Count == 0
            ? own
            : throw new OptionsValidationException(Options.DefaultName, typeof(NetpollEndpointOptions), failures);
    }

    private EndpointChoice Announce(ListenOptions listenOptions)
    {
        var choice = new EndpointChoice(listenOptions);
        listenOptions.Use(next =>
        {
            choice.OnBuilt();
            _current.Value = choice;
            return next;
        });
        return choice;
    }

    // Whoever has built a pipeline for another reason has not announced this one.
    private EndpointChoice? FindChoice(EndPoint endPoint)
    {
        if (_current.Value is not { } choice || !choice.IsFor(endPoint))
        {
            return null;
        }

        choice.OnFound();
        return choice;
    }
}
