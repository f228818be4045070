namespace KestrelNetpoll.Samples;

/// <summary>An option of a sample.</summary>
/// <param name="Name">Without its dashes. With a colon in it, it stands for every name with one: the settings of the configuration.</param>
/// <param name="Value">What the help calls its value; null: it has none. With bars in it, these are all the values there are.</param>
/// <param name="Meaning">For the help.</param>
internal sealed record Option(string Name, string? Value, string Meaning)
{
    internal static readonly Option Urls = new("urls", "ADDRESS[;ADDRESS...]", "where to listen (http://localhost:5000)");
    internal static readonly Option Environment = new("environment", "NAME", "Production, Development ...");

    internal static readonly Option Setting = new(
        "SECTION:KEY", "VALUE", "any setting of the configuration, such as --Kestrel:Netpoll:WorkerCount 4");

    /// <summary>The value is one, and neither negative nor beyond <see cref="Maximum"/>.</summary>
    internal bool IsNumber { get; init; }

    internal double Maximum { get; init; } = 1_000_000;

    /// <summary>The value is one, of HTTP or HTTPS; or several, if <see cref="Value"/> has a semicolon in it.</summary>
    internal bool IsAddress { get; init; }

    internal bool IsList => Value!.Contains(';');

    internal bool IsCalled(string name) =>
        Name.Contains(':') ? name.Contains(':') : Name.Equals(name, StringComparison.OrdinalIgnoreCase);
}
