using KestrelNetpoll.Perf.Apps;
using KestrelNetpoll.Perf.Server;

// Applications as people write them; README.md in the directory above lists their routes.
args = ServerArguments.AddImpliedValues(args);
using var data = new AppData(args);
WebApplicationBuilder builder = WebApplication.CreateBuilder(new WebApplicationOptions
{
    Args = args,
    // Nobody's settings and files but our own.
    ContentRootPath = data.Root,
    WebRootPath = data.WebRoot,
});

try
{
    var arguments = ServerArguments.Parse(args, builder.Configuration, AppCatalogue.Options);
    MeasuredApp measured = AppCatalogue.Get(builder.Configuration["app"]);
    using var host = new MeasuredHost(arguments);
    host.Configure(builder);
    measured.AddServices(builder);
    await using WebApplication app = builder.Build();
    measured.Map(app, data);
    host.CreateReports(app).Map(app);
    return await host.RunAsync(app);
}
catch (FormatException e)
{
    Console.Error.WriteLine(e.Message);
    return 2;
}
