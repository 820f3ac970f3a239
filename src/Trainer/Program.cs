using System.CommandLine;
using System.Runtime.InteropServices;
using ProxyTune.Checkpoints;
using ProxyTune.Trainer.Recipes;
using ProxyTune.Trainer.Settings;
using ProxyTune.Trainer.Town;

using var interrupted = new CancellationTokenSource();
using var onInterrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Interrupt);
using var onTerminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Interrupt);

var root = new RootCommand("Trains the models that ProxyTune serves.")
{
    Recipe<PretrainSettings>("pretrain", "Train a base on documents, or train one further.", Pretrain.Run),
    Recipe<SftSettings>("sft", "Tune a model on answers, all of it or a low-rank update.", Sft.Run),
    Recipe<CptSettings>("cpt", "Tune an expert for the fused model that it will steer.", Cpt.Run),
    Recipe<PrtSettings>("prt", "Tune a small model as a reward that is added to a base, without an anti-expert.", Prt.Run),
    ExportCommand(),
    ManifestCommand(),
    EvaluateCommand(),
    FamilyCommand(),
    PortabilityCommand(),
    CostCommand(),
};
return root.Parse(args).Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null });

Command Recipe<T>(string name, string description, Action<T, CancellationToken> run)
    where T : IRunSettings
{
    var config = new Option<string>("--config") { Description = "The run's settings, a JSON file.", Required = true, HelpName = "FILE" };
    var command = new Command(name, description) { config };
    command.SetAction(arguments => Guard(() => run(SettingsFile.Load<T>(arguments.GetValue(config)!), interrupted.Token)));
    return command;
}

static Command ExportCommand()
{
    var model = new Option<string>("--model") { Description = "Checkpoint folder.", Required = true, HelpName = "FOLDER" };
    var adapter = new Option<string?>("--adapter") { Description = "Folder of a low-rank update to merge.", HelpName = "FOLDER" };
    var output = new Option<string>("--output") { Description = "Folder to serve.", Required = true, HelpName = "FOLDER" };
    var bits = new Option<int>("--bits") { Description = "Of each linear weight: 32, 8 or 4.", DefaultValueFactory = _ => 32, HelpName = "NUMBER" };
    var command = new Command("export", "Make a checkpoint servable, with or without a low-rank update.") { model, adapter, output, bits };
    command.SetAction(arguments =>
        Guard(() => Export.Run(arguments.GetValue(model)!, arguments.GetValue(adapter), arguments.GetValue(output)!, arguments.GetValue(bits))));
    return command;
}

static Command ManifestCommand()
{
    var model = new Option<string>("--model") { Description = "Checkpoint folder that the update was trained on.", Required = true, HelpName = "FOLDER" };
    var adapter = new Option<string>("--adapter") { Description = "Folder of the low-rank update.", Required = true, HelpName = "FOLDER" };
    var data = new Option<string>("--data") { Description = "What it was trained on.", Required = true, HelpName = "SOURCE" };
    var template = new Option<string>("--template") { Description = "How the model sees a conversation: chat, plain or a .jinja file.", DefaultValueFactory = _ => "chat", HelpName = "NAME" };
    var command = new Command("manifest", "Write what a low-rank update says of itself: manifest.json.") { model, adapter, data, template };
    command.SetAction(arguments =>
        Guard(() => Manifest.Run(arguments.GetValue(model)!, arguments.GetValue(adapter)!, arguments.GetValue(data)!, arguments.GetValue(template)!)));
    return command;
}

Command EvaluateCommand()
{
    var models = new Option<string>("--models") { Description = "A models folder.", DefaultValueFactory = _ => "models", HelpName = "FOLDER" };
    var url = new Option<string?>("--url") { Description = $"Instead of a folder: where an OpenAI-compatible API begins, such as http://127.0.0.1:5000/v1; its key in {Evaluate.KeyVariable}.", HelpName = "URL" };
    var served = new Option<string>("--served") { Description = "Name of a served model.", Required = true, HelpName = "NAME" };
    var fusion = new Option<string?>("--fusion") { Description = "What to change of its fusion, as in a request.", HelpName = "JSON" };
    var data = new Option<string>("--data") { Description = "Examples, such as town:qa/test or a .jsonl file.", Required = true, HelpName = "SOURCE" };
    var json = new Option<bool>("--json") { Description = """Print {"right": ..., "total": ...} and nothing else.""" };
    var command = new Command("evaluate", "Ask a served model and count the answers that are right to the letter.") { models, url, served, fusion, data, json };
    command.SetAction(arguments => Guard(() => Evaluate.Run(
        new(arguments.GetValue(models)!, arguments.GetValue(url), arguments.GetValue(served)!, arguments.GetValue(fusion), arguments.GetValue(data)!, arguments.GetValue(json)),
        interrupted.Token)));
    return command;
}

Command FamilyCommand()
{
    var work = new Option<string>("--work") { Description = "Where the runs are.", DefaultValueFactory = _ => ".work/family", HelpName = "FOLDER" };
    var models = new Option<string>("--models") { Description = "Where the served models go.", DefaultValueFactory = _ => "models", HelpName = "FOLDER" };
    var report = new Option<string>("--report") { Description = "The document to write the figures into.", DefaultValueFactory = _ => "docs/quality.md", HelpName = "FILE" };
    var command = new Command("family", "Train, export and examine the whole demo family; goes on where it stopped.") { work, models, report };
    command.SetAction(arguments => Guard(() => Family.Run(arguments.GetValue(work)!, arguments.GetValue(models)!, arguments.GetValue(report)!, interrupted.Token)));
    return command;
}

Command PortabilityCommand()
{
    var work = new Option<string>("--work") { Description = "Where the runs are.", DefaultValueFactory = _ => ".work/portability", HelpName = "FOLDER" };
    var origin = new Option<string>("--base") { Description = "The base of generation 0, a checkpoint folder.", DefaultValueFactory = _ => "models/town-base", HelpName = "FOLDER" };
    var report = new Option<string>("--report") { Description = "The document to write the figures into.", DefaultValueFactory = _ => "docs/quality.md", HelpName = "FILE" };
    var models = new Option<string>("--models") { Description = "Where an evolved base and patches for it go.", DefaultValueFactory = _ => "models", HelpName = "FOLDER" };
    var generations = Count("--generations", "How often the base learns on.", PortabilityPlan.MaxGenerations, PortabilityPlan.MaxGenerations);
    var seeds = Count("--seeds", "How many times each patch is trained on the donor's generation and the next.", PortabilityPlan.UsualSeeds, 100);
    var command = new Command("portability", "Let the base learn on, port patches to it and compare; goes on where it stopped.") { work, origin, report, models, generations, seeds };
    command.SetAction(arguments => Guard(() => Portability.Run(
        arguments.GetValue(work)!, arguments.GetValue(origin)!, arguments.GetValue(report)!, arguments.GetValue(models)!, arguments.GetValue(generations), arguments.GetValue(seeds), interrupted.Token)));
    return command;

    static Option<int> Count(string name, string description, int usual, int most)
    {
        var option = new Option<int>(name) { Description = description, DefaultValueFactory = _ => usual, HelpName = "NUMBER" };
        option.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() is var count && (count < 1 || count > most))
            {
                result.AddError($"{name} is {count}; accepted is 1 to {most}.");
            }
        });
        return option;
    }
}

// What the portability recipe starts as a child, to measure it alone.
static Command CostCommand()
{
    var what = new Argument<string>("what");
    var work = new Option<string>("--work") { Required = true };
    var origin = new Option<string>("--base") { Required = true };
    var output = new Option<string>("--output") { Required = true };
    var command = new Command(Costs.Command) { what, work, origin, output };
    command.Hidden = true;
    command.SetAction(arguments => Guard(() => Costs.Run(arguments.GetValue(what)!, arguments.GetValue(work)!, arguments.GetValue(origin)!, arguments.GetValue(output)!)));
    return command;
}

// The first signal asks the run to write a checkpoint; a second one ends the process at once.
void Interrupt(PosixSignalContext signal)
{
    signal.Cancel = !interrupted.IsCancellationRequested;
    interrupted.Cancel();
}

static int Guard(Action run)
{
    try
    {
        run();
        return 0;
    }
    catch (OperationCanceledException stopped)
    {
        Console.Error.WriteLine(stopped.Message);
        return 130;
    }
    catch (Exception error) when (error is TrainingException or EngineException or IOException or UnauthorizedAccessException)
    {
        Console.Error.WriteLine($"error: {error.Message}");
        return 1;
    }
}
