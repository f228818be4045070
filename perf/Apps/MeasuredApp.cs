namespace KestrelNetpoll.Perf.Apps;

/// <summary>One application: what it registers, and what it serves.</summary>
/// <param name="AddServices">Registers its services; null: it needs none.</param>
/// <param name="Map">Adds its middleware and endpoints.</param>
internal sealed record MeasuredApp(Action<WebApplicationBuilder> AddServices, Action<WebApplication, AppData> Map);
