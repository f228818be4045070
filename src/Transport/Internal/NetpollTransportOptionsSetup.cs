using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace KestrelNetpoll.Transport.Internal;

/// <summary>
/// Sets the options from the application's configuration, section <c>Kestrel:Netpoll</c>. Registered before what code configures, which
/// therefore wins. A key that is no option is refused: it is a typing error, and what was meant would be missing without a word.
/// </summary>
internal sealed class NetpollTransportOptionsSetup(IConfiguration? configuration = null) : IConfigureOptions<NetpollTransportOptions>
{
    internal const string SectionName = "Kestrel:Netpoll";

    private const int Octal = 8;

    /// <exception cref="InvalidOperationException">A value cannot be converted, or a key is no option.</exception>
    public void Configure(NetpollTransportOptions options)
    {
        if (configuration?.GetSection(SectionName) is not { } section || !section.Exists())
        {
            return;
        }

        // Digits would be taken for a decimal number, which no mode is.
        string? mode = section[nameof(options.UnixSocketMode)];
        UnixFileMode? octal = IsNumber(mode) ? ParseMode(mode, section.Path) : null;
        IConfiguration values = octal is null ? section : Without(section, nameof(options.UnixSocketMode));
        try
        {
            values.Bind(options, static binder => binder.ErrorOnUnknownConfiguration = true);
        }
        catch (InvalidOperationException e)
        {
            // About an unknown key the binder does not say where it is.
            throw new InvalidOperationException($"The configuration section '{SectionName}' is not valid. {e.Message}", e);
        }

        options.UnixSocketMode = octal ?? options.UnixSocketMode;
    }

    private static bool IsNumber([NotNullWhen(true)] string? mode) => !string.IsNullOrWhiteSpace(mode) && mode.All(char.IsAsciiDigit);

    private static UnixFileMode ParseMode(string mode, string path)
    {
        try
        {
            return (UnixFileMode)Convert.ToInt32(mode, Octal);
        }
        catch (Exception e) when (e is FormatException or OverflowException or ArgumentException)
        {
            throw new InvalidOperationException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"'{mode}' at '{path}:{nameof(NetpollTransportOptions.UnixSocketMode)}' is not an octal file mode such as 660."),
                e);
        }
    }

    private static IConfiguration Without(IConfigurationSection section, string key) => new ConfigurationBuilder()
        .AddInMemoryCollection(section.AsEnumerable(makePathsRelative: true)
            .Where(pair => pair.Value is not null && !string.Equals(pair.Key, key, StringComparison.OrdinalIgnoreCase)))
        .Build();
}
